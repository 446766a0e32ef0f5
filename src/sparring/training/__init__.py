"""The loop that trains a GAN or a classifier: step, log, measure, save."""
