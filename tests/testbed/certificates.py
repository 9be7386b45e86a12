"""Certificates of the testbed's own: short-lived, for loopback, by a library that does it right."""

from __future__ import annotations

import datetime
import ipaddress
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = datetime.timedelta(days=30)
_SKEW = datetime.timedelta(minutes=5)

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes

    @property
    def files(self) -> dict[str, bytes]:
        """It, as a Secret of type kubernetes.io/tls names its parts."""
        return {"tls.crt": self.certificate, "tls.key": self.key}


def authority(name: str) -> Pair:
    """A new certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return _pair(builder, key, signer=key)


def issue(by: Pair, name: str, hosts: Sequence[str]) -> Pair:
    """A certificate for a server or a client, signed by an authority.

    Args:
        hosts: DNS names and IP addresses that it is for.
    """
    signer = serialization.load_pem_private_key(by.key, password=None)
    assert isinstance(signer, _Key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Crossplane's own authority is from the country "Earth"
        issuer = x509.load_pem_x509_certificate(by.certificate).subject
    key = ec.generate_private_key(ec.SECP256R1())
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(name, "", key)
        .issuer_name(issuer)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    )
    return _pair(builder, key, signer=signer)


def _builder(name: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - a certificate is good from now on
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFE)
    )
    return builder.issuer_name(_name(issuer)) if issuer else builder


def _pair(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, *, signer: _Key) -> Pair:
    certificate = builder.sign(signer, hashes.SHA256())
    return Pair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
