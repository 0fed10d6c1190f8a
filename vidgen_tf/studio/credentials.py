"""Content credentials (C2PA): a signed manifest in a finished file, by a test certificate that this machine has made for itself.

The signature shows any change behind it. Who signed, it can't show: nobody vouches for a certificate that a studio has made, so
a reader says "valid, untrusted". A public service buys one from an authority on the C2PA's trust list.

References:
    Coalition for Content Provenance and Authenticity, 2025, "Content credentials: technical specification".
"""

import datetime
import json
import os
from pathlib import Path

from .. import __version__
from ..errors import CourseError
from ..files import atomic_path, check_writable

ISSUER = "vidgen_tf studio, test certificate of this machine"
YEARS = 10  # that a certificate is valid
ALGORITHM = "es256"
NO_THUMBNAIL = {"builder": {"thumbnail": {"enabled": False}}}  # it would make a small gif fifteen times as large


def _certificate(subject, issuer, public_key, issuer_key, is_authority):
    """An X.509 certificate with what the specification asks of one that signs."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text):
        attributes = {NameOID.ORGANIZATION_NAME: ISSUER, NameOID.COMMON_NAME: text}
        return x509.Name([x509.NameAttribute(key, value) for key, value in attributes.items()])

    unused = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only")
    usage = dict.fromkeys(unused, False) | {"digital_signature": not is_authority}
    usage |= dict.fromkeys(("key_cert_sign", "crl_sign"), is_authority)
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(public_key)
    builder = (
        builder.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + 365 * YEARS * day)
    )
    builder = builder.add_extension(x509.BasicConstraints(is_authority, None), True).add_extension(x509.KeyUsage(**usage), True)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
    if is_authority:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
    else:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return builder.sign(issuer_key, hashes.SHA256())


def make_certificate(folder):
    """Makes a key and a test certificate, where there is none.

    Args:
        folder: str or Path; made where it is missing.

    Returns:
        (Path, Path): of the chain of certificates and of the private key, both PEM; the key can be read by its owner alone.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    folder = check_writable(folder)
    chain, private = folder / "certificate.pem", folder / "key.pem"
    if not (chain.is_file() and private.is_file()):
        authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        signed = _certificate("signer", "authority", key.public_key(), authority, is_authority=False)
        root = _certificate("authority", "authority", authority.public_key(), authority, is_authority=True)
        with atomic_path(private) as path:
            path.touch(mode=0o600)
            path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        os.chmod(private, 0o600)
        with atomic_path(chain) as path:
            path.write_bytes(signed.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))
    return chain, private


def sign(path, label, folder):
    """Signs a finished and labelled file, in place; its frames stay what they are. What changes it later breaks the signature.

    Args:
        path: str or Path of an mp4, gif, webp or png.
        label: `labels.Label`, whose kind of origin is signed.
        folder: of the certificate, see `make_certificate`.

    Raises:
        CourseError: a file that can't be signed, or a damaged certificate.
    """
    import c2pa

    path = Path(path)
    action = {"action": "c2pa.created", "digitalSourceType": label.source_type}
    manifest = {
        "claim_generator_info": [{"name": "vidgen_tf", "version": __version__}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    chain, private = make_certificate(folder)
    try:
        settings = c2pa.Settings.from_dict(NO_THUMBNAIL)
        info = c2pa.C2paSignerInfo(ALGORITHM, chain.read_bytes(), private.read_bytes(), None)
        with (
            c2pa.Context(settings) as context,
            c2pa.Signer.from_info(info) as signer,
            c2pa.Builder(json.dumps(manifest), context) as builder,
            atomic_path(path) as beside,
        ):
            builder.sign_file(str(path), str(beside), signer)
    except c2pa.C2paError as error:
        raise CourseError(
            f"{path.name} could not be signed ({error}): remove {folder}, and a new certificate is made."
        ) from error


def read_credentials(path):
    """The content credentials of a file, whoever signed it.

    Args:
        path: str or Path.

    Returns:
        None without any; or a dict of "state", str: "valid", "valid, untrusted", which is so of every test certificate, or
        "broken" where the file was changed after it had been signed; "issuer", str; and "source_type", str or None, the last
        part of the IPTC's address.
    """
    import c2pa

    try:
        with c2pa.Reader(str(path)) as reader:
            found = json.loads(reader.json())
    except c2pa.C2paError:  # no manifest, or a file of no format that has one
        return None
    manifest = found["manifests"][found["active_manifest"]]
    problems = {each["code"] for each in found.get("validation_status", [])}
    is_untrusted = "signingCredential.untrusted" in problems
    state = "valid, untrusted" if is_untrusted else "valid"
    actions = [each for part in manifest.get("assertions", []) for each in part["data"].get("actions", [])]
    types = [action["digitalSourceType"].rsplit("/", 1)[-1] for action in actions if "digitalSourceType" in action]
    return {
        "state": "broken" if problems - {"signingCredential.untrusted"} else state,
        "issuer": manifest.get("signature_info", {}).get("issuer", "unknown"),
        "source_type": types[0] if types else None,
    }
