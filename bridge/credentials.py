"""Where a cluster is and who asks: of a kubeconfig's bytes, of a file, or of the pod that the bridge runs in."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from kubernetes.client.configuration import Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config, load_kube_config_from_dict

from bridge import kubeconfig
from bridge.errors import KubeconfigError


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a connection is made with.

    Attributes:
        tls: Where it is None, the configuration names files, which are read anew for each connection: they may be
            rotated.
    """

    configuration: Configuration
    tls: ssl.SSLContext | None = None


def of_bytes(content: bytes) -> Credentials:
    """Those of a kubeconfig from a Secret.

    Raises:
        KubeconfigError: It cannot be used; nothing of its content is shown.
    """
    config = kubeconfig.read(content)
    # Not the shared default, which calling the class gives in some versions.
    configuration: Configuration = type.__call__(Configuration)
    # The package writes certificates to files and keeps these until the process ends. Once read, they are removed.
    with _folder() as folder:
        try:
            load_kube_config_from_dict(  # type: ignore[no-untyped-call]
                config, client_configuration=configuration, persist_config=False, temp_file_path=folder
            )
            tls = _context(configuration)
        except (ConfigException, OSError, ValueError) as error:  # ssl.SSLError is an OSError
            cause = getattr(error, "reason", None) or type(error).__name__
            raise KubeconfigError(f"the kubeconfig's certificates cannot be used: {cause}") from None
    _bypass(configuration)
    return Credentials(configuration, tls)


def of_file(path: Path, context: str = "") -> Credentials:
    """Those of a kubeconfig file of the caller's own; commands and files that it names are used.

    Args:
        context: The file's current one by default.

    Raises:
        KubeconfigError: There is no such file or context, or it is no kubeconfig.
    """
    configuration: Configuration = type.__call__(Configuration)
    try:
        load_kube_config(  # type: ignore[no-untyped-call]
            str(path), context or None, client_configuration=configuration, persist_config=False
        )
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        # The parser's own message shows the text around the mistake.
        raise KubeconfigError(f"cannot use the kubeconfig {path}: it is not YAML") from None
    except (ConfigException, OSError) as error:
        cause = error.strerror if isinstance(error, OSError) else error
        raise KubeconfigError(f"cannot use the kubeconfig {path}: {cause}") from None
    _bypass(configuration)
    return Credentials(configuration)


def of_pod() -> Credentials:
    """Those of the pod that the bridge runs in.

    Raises:
        KubeconfigError: It runs in none.
    """
    configuration: Configuration = type.__call__(Configuration)
    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        cause = str(error).rstrip(".")
        raise KubeconfigError(
            f"cannot use the credentials of this pod: {cause}; outside of a pod give --kubeconfig FILE"
        ) from None
    return Credentials(configuration)


def _folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="kubeconfig-")
    except OSError as error:  # a pod may have no folder that it can write to
        cause = f"no temporary file can be written: {error.strerror}"
        raise KubeconfigError(f"the kubeconfig's certificates cannot be read, as {cause}") from None


def _context(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def _bypass(configuration: Configuration) -> None:
    # The package asks HTTPS_PROXY also for loopback; Go's clients never do (net/http, ProxyFromEnvironment).
    host = urlsplit(str(configuration.host)).hostname or ""
    if host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback):
        configuration.proxy = None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
