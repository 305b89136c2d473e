"""Read, write, list and delete the objects below one `s3://bucket/prefix`.

s3fs runs the requests of all threads concurrently in one event loop; a forked process starts its
own. Endpoint, region and credentials come from the usual variables (AWS_ENDPOINT_URL, AWS_PROFILE
and so on). Every failure is an OSError with an errno and without the key: the keys of an inbox are
names of delivered files.
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
        "An s3:// address was given, but s3fs is not installed. Install it with "
        ".venv/bin/pip install -e '.[s3]', or give a local folder."
    ) from None

SCHEME = "s3://"
# s3fs gives up after 15 s without a response, less than sending a large part takes on a slow line.
TIMEOUTS = {"connect_timeout": 10, "read_timeout": 300}
ATTEMPTS = 4
MAX_DELETED = 1000  # objects per request, by the limit of S3
CONFLICT_CODES = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")


class WriteConflict(Exception):
    """Another writer was first: the object exists already, or has changed since it was read."""


@dataclass(frozen=True)
class Facts:
    """Metadata of one object; its name is relative to the prefix."""

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
            raise ConfigError(f"{url} is not an S3 address; expected s3://BUCKET/PREFIX.")
        prefix = prefix.strip("/")
        return cls(bucket, f"{prefix}/" if prefix else "")

    @property
    def url(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    def get(self, name: str, seconds: float | None = None) -> tuple[bytes, Facts]:
        """The bytes of an object and its facts, in one request. Raises FileNotFoundError.

        Raises OSError after `seconds` without a response, if given.
        """
        with explain_errors():
            client = filesystem()
            data, response = sync(client.loop, _body, client, self._key(name), timeout=seconds)
        return data, _facts(name, response)

    def get_range(self, facts: Facts, start: int, end: int) -> bytes:
        """Bytes `start` to before `end` of an object. Raises OSError if it was replaced since."""
        request = {**self._key(facts.name), "Range": f"bytes={start}-{end - 1}"}
        request["IfMatch"] = facts.etag
        with explain_errors():
            return sync(filesystem().loop, _body, filesystem(), request)[0]

    def get_start(self, name: str, count: int) -> bytes:
        """The first `count` bytes of an object that is not empty, fewer if it is shorter."""
        request = {**self._key(name), "Range": f"bytes=0-{count - 1}"}
        with explain_errors():
            return sync(filesystem().loop, _body, filesystem(), request)[0]

    def head(self, name: str) -> Facts | None:
        """The facts of an object; None if it does not exist."""
        try:
            return _facts(name, self._call("head_object", **self._key(name)))
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
        """Write an object atomically, with one request; return its ETag.

        Raises WriteConflict if it must be `new` and exists, or if it must replace the object with
        the ETag `instead_of` and that has changed. A request that is repeated because its response
        was lost raises it too: the caller must read the object to know which writer was first.
        """
        condition = {"IfNoneMatch": "*"} if new else {"IfMatch": instead_of} if instead_of else {}
        try:
            request = {**self._key(name), "Body": data, **condition}
            return self._call("put_object", seconds, **request)["ETag"]
        except FileNotFoundError:
            if instead_of:  # it was removed since
                raise WriteConflict from None
            raise
        except OSError as error:
            if condition and _code(error) in CONFLICT_CODES:
                raise WriteConflict from None
            raise

    def list(self, below: str = "", most: int = 1000) -> Iterator[Facts]:
        """All objects whose names begin with `below`, sorted by name, `most` per request."""
        request = {"Bucket": self.bucket, "Prefix": self.prefix + below, "MaxKeys": most}
        while True:
            page = self._call("list_objects_v2", **request)
            for each in page.get("Contents", ()):
                name = each["Key"].removeprefix(self.prefix)
                yield Facts(name, each["Size"], each["LastModified"], each["ETag"])
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def folders(self) -> Iterator[str]:
        """Names up to their first slash, each once."""
        for page in self._level():
            for each in page.get("CommonPrefixes", ()):
                yield each["Prefix"].removeprefix(self.prefix).rstrip("/")

    def files(self) -> Iterator[str]:
        """Names without a slash."""
        for page in self._level():
            for each in page.get("Contents", ()):
                if name := each["Key"].removeprefix(self.prefix):  # else the prefix as an object
                    yield name

    def _level(self) -> Iterator[dict]:
        """The pages of a listing that ends at slashes."""
        request = {"Bucket": self.bucket, "Prefix": self.prefix, "Delimiter": "/"}
        while True:
            page = self._call("list_objects_v2", **request)
            yield page
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, ignoring those that do not exist."""
        keys = [{"Key": self.prefix + name} for name in names]
        for first in range(0, len(keys), MAX_DELETED):
            some = {"Objects": keys[first : first + MAX_DELETED], "Quiet": True}
            response = self._call("delete_objects", Bucket=self.bucket, Delete=some)
            if failed := response.get("Errors"):
                raise OSError(errno.EACCES, failed[0].get("Message", "cannot be removed"))

    def uploads(self) -> Iterator[tuple[str, str, datetime]]:
        """Key, id and start time of unfinished multipart uploads."""
        request = {"Bucket": self.bucket, "Prefix": self.prefix}
        for each in self._call("list_multipart_uploads", **request).get("Uploads", ()):
            yield each["Key"], each["UploadId"], each["Initiated"]

    def abort(self, key: str, upload: str) -> None:
        """Remove the parts of an unfinished multipart upload."""
        self._call("abort_multipart_upload", Bucket=self.bucket, Key=key, UploadId=upload)

    def keeps_versions(self) -> bool:
        """Whether the bucket keeps earlier versions of replaced and deleted objects."""
        return self._call("get_bucket_versioning", Bucket=self.bucket).get("Status") == "Enabled"

    def _key(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.prefix + name}

    def _call(self, method: str, seconds: float | None = None, **request) -> dict:
        with explain_errors():
            client = filesystem()
            return sync(client.loop, client._call_s3, method, timeout=seconds, **request)


def filesystem() -> S3FileSystem:
    """The s3fs client of this process, whose threads share its connections."""
    return _filesystem(os.getpid())


@cache
def _filesystem(process: int) -> S3FileSystem:
    # Without a cache of listings: other machines write too.
    return S3FileSystem(use_listings_cache=False, config_kwargs=TIMEOUTS, skip_instance_cache=True)


async def _body(client: S3FileSystem, request: dict) -> tuple[bytes, dict]:
    """Content and response of one object; requested again when the connection breaks."""
    for attempt in range(ATTEMPTS):
        response = await client._call_s3("get_object", **request)
        try:
            async with response["Body"] as body:
                return await body.read(), response
        except S3_RETRYABLE_ERRORS:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _facts(name: str, response: dict) -> Facts:
    now = response["ResponseMetadata"]["HTTPHeaders"].get("date")
    modified = response["LastModified"]
    # Not by our clock: the clocks of machines that share a store may differ.
    age = (parsedate_to_datetime(now) - modified).total_seconds() if now else 0.0
    return Facts(name, response["ContentLength"], modified, response["ETag"], age)


@contextlib.contextmanager
def explain_errors() -> Iterator[None]:
    """Turn every error of S3 and of the connection into an OSError with errno and message."""
    try:
        yield
    except OSError as error:
        number = errno.EIO
        for kind, its_errno in ERRNOS.items():
            number = its_errno if isinstance(error, kind) else number
        raise OSError(number, _message(error)) from error.__cause__
    except (BotoCoreError, aiohttp.ClientError, FSTimeoutError, *S3_RETRYABLE_ERRORS) as error:
        # Their messages contain the requested address, and with it the key.
        raise OSError(errno.EIO, _message(error)) from None


ERRNOS = {
    FileNotFoundError: errno.ENOENT,
    PermissionError: errno.EACCES,
    FileExistsError: errno.EEXIST,
}


def _message(error: Exception) -> str:
    code = _code(error)
    return f"S3 returned {code}" if code else f"S3 cannot be reached: {type(error).__name__}"


def _code(error: Exception) -> str:
    """The error code that S3 returned; empty without a response."""
    response = getattr(error.__cause__, "response", None) or {}
    return response.get("Error", {}).get("Code", "")
