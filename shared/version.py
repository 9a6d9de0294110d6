"""The version of the service: in the OpenAPI document, and the tag of a release."""

VERSION = "0.2.0"
