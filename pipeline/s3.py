"""Objects below one `s3://bucket/prefix`: whole ones in, whole ones out, whatever S3 it is.

Through s3fs, whose requests run side by side in one thread of the process; any thread may ask, and
a forked process begins anew. Endpoint, region and credentials come the usual way (AWS_ENDPOINT_URL,
AWS_PROFILE and so on). Every failure is an OSError with its errno, and names no key: keys of an
inbox are names of delivered files.
"""

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache

from pipeline.errors import ConfigError

try:
    import aiohttp
    from botocore.exceptions import BotoCoreError
    from fsspec.asyn import sync
    from fsspec.exceptions import FSTimeoutError
    from s3fs import S3FileSystem
    from s3fs.core import S3_RETRYABLE_ERRORS
except ImportError:
    raise ConfigError(
        "Something lies on s3://, but s3fs is not installed. Install it with "
        ".venv/bin/pip install -e '.[s3]', or name a folder."
    ) from None

SCHEME = "s3://"
# s3fs gives up after 15 s without an answer, which a large part on a slow line takes to be sent.
TIMEOUTS = {"connect_timeout": 10, "read_timeout": 300}
ATTEMPTS = 4
DELETED_AT_ONCE = 1000  # S3 takes no more in one request
WRITTEN_MEANWHILE = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")


class Taken(Exception):
    """Another writer was there first: the object exists, or is no longer the one that was read."""


@dataclass(frozen=True)
class Facts:
    """What S3 says of one object; its name is relative to the prefix."""

    name: str
    size: int  # bytes
    modified: datetime
    etag: str
    age: float = 0.0  # seconds since it was written, by the clock of S3 alone; not when listed


@dataclass(frozen=True)
class Prefix:
    """The objects whose keys begin with `prefix`, which is empty or ends with a slash."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, url: str) -> "Prefix":
        """Raises ConfigError unless `url` is s3://BUCKET or s3://BUCKET/PREFIX."""
        bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
        if not url.startswith(SCHEME) or not bucket:
            raise ConfigError(f"{url} names no place on S3; expected s3://BUCKET/PREFIX.")
        prefix = prefix.strip("/")
        return cls(bucket, f"{prefix}/" if prefix else "")

    @property
    def url(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    def get(self, name: str, seconds: float | None = None) -> tuple[bytes, Facts]:
        """The bytes of an object and its facts, by one request. Raises FileNotFoundError.

        After `seconds` without an answer, when they are told, there is an OSError.
        """
        with explain_errors():
            client = filesystem()
            data, answer = sync(client.loop, _body, client, self._key(name), timeout=seconds)
        return data, _facts(name, answer)

    def get_range(self, facts: Facts, start: int, end: int) -> bytes:
        """Bytes `start` to before `end` of an object; OSError when another is there by now."""
        asked = {**self._key(facts.name), "Range": f"bytes={start}-{end - 1}"}
        asked["IfMatch"] = facts.etag
        with explain_errors():
            return sync(filesystem().loop, _body, filesystem(), asked)[0]

    def head(self, name: str) -> Facts | None:
        """The facts of an object; None when there is none."""
        try:
            return _facts(name, self._ask("head_object", **self._key(name)))
        except FileNotFoundError:
            return None

    def put(
        self,
        name: str,
        data: bytes,
        new: bool = False,
        instead_of: str | None = None,
        seconds: float | None = None,
    ) -> str:
        """Write an object with one request, so that it is there whole or not at all; its ETag.

        Raises Taken when it is to be `new` and there is one, or when it is to replace the object
        with the ETag `instead_of` and another is there by now. An answer that was lost makes the
        repeated request say so too: whoever must know which, reads what is there.
        """
        terms = {"IfNoneMatch": "*"} if new else {"IfMatch": instead_of} if instead_of else {}
        try:
            asked = {**self._key(name), "Body": data, **terms}
            return self._ask("put_object", seconds, **asked)["ETag"]
        except FileNotFoundError:
            if instead_of:  # it was removed since
                raise Taken from None
            raise
        except OSError as error:
            if terms and _code(error) in WRITTEN_MEANWHILE:
                raise Taken from None
            raise

    def list(self, below: str = "", most: int = 1000) -> Iterator[Facts]:
        """All objects whose names begin with `below`, in the order of names, page by page."""
        asked = {"Bucket": self.bucket, "Prefix": self.prefix + below, "MaxKeys": most}
        while True:
            page = self._ask("list_objects_v2", **asked)
            for each in page.get("Contents", ()):
                name = each["Key"].removeprefix(self.prefix)
                yield Facts(name, each["Size"], each["LastModified"], each["ETag"])
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def folders(self) -> Iterator[str]:
        """Names up to their first slash, each once."""
        asked = {"Bucket": self.bucket, "Prefix": self.prefix, "Delimiter": "/"}
        while True:
            page = self._ask("list_objects_v2", **asked)
            for each in page.get("CommonPrefixes", ()):
                yield each["Prefix"].removeprefix(self.prefix).rstrip("/")
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects; those that are gone already are none."""
        keys = [{"Key": self.prefix + name} for name in names]
        for first in range(0, len(keys), DELETED_AT_ONCE):
            some = {"Objects": keys[first : first + DELETED_AT_ONCE], "Quiet": True}
            answer = self._ask("delete_objects", Bucket=self.bucket, Delete=some)
            if failed := answer.get("Errors"):
                raise OSError(errno.EACCES, failed[0].get("Message", "cannot be removed"))

    def uploads(self) -> Iterator[tuple[str, str, datetime]]:
        """Key, number and beginning of uploads in several pieces that nobody has finished."""
        asked = {"Bucket": self.bucket, "Prefix": self.prefix}
        for each in self._ask("list_multipart_uploads", **asked).get("Uploads", ()):
            yield each["Key"], each["UploadId"], each["Initiated"]

    def abort(self, key: str, number: str) -> None:
        """Remove the pieces of an unfinished upload."""
        self._ask("abort_multipart_upload", Bucket=self.bucket, Key=key, UploadId=number)

    def keeps_versions(self) -> bool:
        """Whether what is replaced or removed stays behind as an earlier version."""
        return self._ask("get_bucket_versioning", Bucket=self.bucket).get("Status") == "Enabled"

    def _key(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.prefix + name}

    def _ask(self, method: str, seconds: float | None = None, **asked) -> dict:
        with explain_errors():
            client = filesystem()
            return sync(client.loop, client._call_s3, method, timeout=seconds, **asked)


def filesystem() -> S3FileSystem:
    """The one of this process, all of whose threads share its connections."""
    return _filesystem(os.getpid())


@cache
def _filesystem(process: int) -> S3FileSystem:
    # Others write too, so what was listed once is not believed later.
    return S3FileSystem(use_listings_cache=False, config_kwargs=TIMEOUTS, skip_instance_cache=True)


async def _body(client: S3FileSystem, asked: dict) -> tuple[bytes, dict]:
    """Content and answer of one object; asked again when the connection breaks on the way."""
    for attempt in range(ATTEMPTS):
        answer = await client._call_s3("get_object", **asked)
        try:
            async with answer["Body"] as body:
                return await body.read(), answer
        except S3_RETRYABLE_ERRORS:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _facts(name: str, answer: dict) -> Facts:
    now = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    modified = answer["LastModified"]
    # No clock of ours: machines that share a store need not agree on the time.
    age = (parsedate_to_datetime(now) - modified).total_seconds() if now else 0.0
    return Facts(name, answer["ContentLength"], modified, answer["ETag"], age)


@contextlib.contextmanager
def explain_errors() -> Iterator[None]:
    """Make whatever S3 or the way to it answers an OSError with an errno and words."""
    try:
        yield
    except OSError as error:
        number = errno.EIO
        for kind, meant in KINDS.items():
            number = meant if isinstance(error, kind) else number
        raise OSError(number, _words(error)) from error.__cause__
    except (BotoCoreError, aiohttp.ClientError, FSTimeoutError, *S3_RETRYABLE_ERRORS) as error:
        # Their texts hold the address that was asked, and with it the key.
        raise OSError(errno.EIO, _words(error)) from None


KINDS = {
    FileNotFoundError: errno.ENOENT,
    PermissionError: errno.EACCES,
    FileExistsError: errno.EEXIST,
}


def _words(error: Exception) -> str:
    code = _code(error)
    return f"S3 says {code}" if code else f"S3 cannot be asked: {type(error).__name__}"


def _code(error: Exception) -> str:
    """The code that S3 gave for a failure; empty when there was no answer."""
    response = getattr(error.__cause__, "response", None) or {}
    return response.get("Error", {}).get("Code", "")
