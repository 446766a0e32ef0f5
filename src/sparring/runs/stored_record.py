"""A record that is stored as JSON, whole or as a part of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sparring.core.errors import CorruptInput, printable
from sparring.core.files import read_json, write_json

AnyStored = TypeVar("AnyStored", bound="StoredRecord")


class StoredRecord(BaseModel):
    """A part of a JSON file. Unknown keys are ignored, so that files of later versions can be read."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, populate_by_name=True)

    @classmethod
    def read(cls: type[AnyStored], path: Path) -> AnyStored:
        """The record in a JSON file.

        Raises:
            CorruptInput: the file is missing or not JSON, or a key is missing or has another type; names the key.
            StorageError: it cannot be read.
        """
        values = read_json(path)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = printable(".".join(map(str, first["loc"])) or "the top level")
            raise CorruptInput(f"{path}: cannot be read at {key} ({first['msg']})", "restore the file") from None

    def write(self, path: Path) -> None:
        """Write the record as JSON, whole or not at all.

        Raises:
            StorageError: the disk refused.
        """
        write_json(path, self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        return self.model_dump(mode="json", by_alias=True)
