"""The base of every config section, and the types of keys that sections share."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from finest.secrets import has_credentials

Number = TypeVar("Number")
Keys = TypeVar("Keys", bound="Section")


class Section(BaseModel):
    """Holds typed, immutable keys; an unknown key is an error.

    A string under a key is its documentation, with unit and source.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    ALTERNATIVES: ClassVar[tuple[frozenset[str], ...]] = ()
    """Sets of keys of which one at most is given: `--set` of one takes the place of another that a config file has."""


@dataclass(frozen=True)
class Written:
    """Says how the text under a key is written: to a program by a pattern, to a person by words."""

    pattern: str
    """Regular expression of the whole text."""
    words: str
    """What the text must be, like `a whole number`."""

    def _checked(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise ValueError(f"must be {self.words}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Returns pydantic's schema of the text, checked."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Returns the JSON schema of the text, with its pattern."""
        return {**handler(schema), "pattern": self.pattern}


def _off_as_yaml_has_it(value: object) -> object:
    """Returns `off` for what YAML 1.1 makes of an unquoted `off`."""
    return "off" if value is False else value


def _no_number(value: object) -> object:
    """Refuses what a number would take as 1."""
    if value is True:
        raise ValueError("must be a number or 'off'")
    return value


OrOff = Annotated[Number | Literal["off"], BeforeValidator(_no_number), BeforeValidator(_off_as_yaml_has_it)]
"""A number, or the word `off` where a bound with a default can be switched off."""
SectionOrOff = Annotated[Keys | Literal["off"], BeforeValidator(_off_as_yaml_has_it)]
"""A section, or the word `off` where all that it says can be switched off."""


def _without_credentials(value: str) -> str:
    if has_credentials(value):
        raise ValueError("must hold no credentials: it is written to logs and to MLflow; give them in the environment")
    return value


Address = Annotated[str, AfterValidator(_without_credentials)]
"""A path or a URI, which is recorded and shown."""
