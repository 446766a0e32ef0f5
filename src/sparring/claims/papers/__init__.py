"""The claims of the papers, a YAML file each."""
