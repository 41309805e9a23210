"""Makes certificate/ and sigstore/: a small model signed with certificates of authorities, and as Sigstore does it, by a Fulcio, a Rekor and a
certificate transparency log that exist only here, each also with one thing wrong. Run by hand (it needs python3-cryptography); its results are
kept, its keys are not."""
import base64
import copy
import datetime
import hashlib
import json
import pathlib
import shutil
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as EKU
from cryptography.x509.oid import NameOID

HERE = pathlib.Path(__file__).parent
UTC = datetime.timezone.utc
START, END = datetime.datetime(2026, 1, 1, tzinfo=UTC), datetime.datetime(2126, 1, 1, tzinfo=UTC)
SIGNED = datetime.datetime(2026, 3, 1, 10, tzinfo=UTC)
IDENTITY, PROVIDER = "robin@example.org", "https://login.example.org"
SCTS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
ISSUER_1, ISSUER_2 = (x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{n}") for n in (1, 8))
USER_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7")
WORKFLOW = "https://example.org/robots/.github/workflows/release.yml@refs/tags/v1"


def b64(data):
    return base64.b64encode(data).decode()


def key(curve=ec.SECP256R1()):
    return ec.generate_private_key(curve)


def sign(private, data):
    digest = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
    return private.sign(data, ec.ECDSA(digest[private.key_size]))


def der(thing):
    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(serialization.Encoding.DER)
    return thing.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def usage(**on):
    every = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
             "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{what: on.get(what, False) for what in every})


class Authority:
    def __init__(self, text, above=None, ca=True, eku=None, curve=ec.SECP256R1()):
        self.name, self.key, self.above = name(text), key(curve), above
        build = builder(self.name, self.key, above or self, START, END)
        build = build.add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
        build = build.add_extension(usage(key_cert_sign=ca, digital_signature=not ca), True)
        if eku:
            build = build.add_extension(x509.ExtendedKeyUsage([eku]), False)
        self.cert = build.sign((above or self).key, hashes.SHA256())


def builder(subject, private, above, start, end):
    build = x509.CertificateBuilder().subject_name(subject).issuer_name(above.name).public_key(private.public_key())
    build = build.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
    return build.add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), False).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(above.key.public_key()), False)


def leaf(above, private, start=START, end=END, text="vendor", digital=True, eku=EKU.CODE_SIGNING, more=()):
    build = builder(name(text), private, above, start, end).add_extension(usage(digital_signature=digital, key_agreement=not digital), True)
    build = build.add_extension(x509.ExtendedKeyUsage([eku]), False)
    for extension, critical in more:
        build = build.add_extension(extension, critical)
    return build


# ---- the statement and its envelope ----

def statement():
    files = sorted(p for p in (HERE / "model").rglob("*") if p.is_file() and ".git" not in p.parts)
    resources = [{"name": p.relative_to(HERE / "model").as_posix(), "digest": hashlib.sha256(p.read_bytes()).hexdigest(), "algorithm": "sha256"}
                 for p in files]
    resources.sort(key=lambda r: r["name"].encode())
    root = hashlib.sha256(b"".join(bytes.fromhex(r["digest"]) for r in resources)).hexdigest()
    return json.dumps({"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "model", "digest": {"sha256": root}}],
                       "predicateType": "https://model_signing/signature/v1.0",
                       "predicate": {"resources": resources, "serialization": {"method": "files", "hash_type": "sha256",
                                                                               "allow_symlinks": False}}}).encode()


TYPE = "application/vnd.in-toto+json"
PAYLOAD = statement()
PAE = b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(PAYLOAD), PAYLOAD)


def bundle(material, signature):
    return {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material,
            "dsseEnvelope": {"payload": b64(PAYLOAD), "payloadType": TYPE, "signatures": [{"sig": b64(signature), "keyid": ""}]}}


def write(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


# ---- method certificate ----

def make_certificates(out):
    root, other = Authority("Root"), Authority("Another root")
    middle = Authority("Intermediate", root, curve=ec.SECP384R1())

    def put(file, above=middle, private=None, signer=None, chain=None, **how):
        private = private or key()
        build = leaf(above, private, **how)
        certs = [build.sign(above.key, hashes.SHA256()), above.cert] if chain is None else [build.sign(above.key, hashes.SHA256()), *chain]
        signature = sign(signer or private, PAE) if not isinstance(private, rsa.RSAPrivateKey) else bytes(64)
        write(out / f"{file}.sig", bundle({"x509CertificateChain": {"certificates": [{"rawBytes": b64(der(c))} for c in certs]},
                                           "tlogEntries": []}, signature))

    pem = serialization.Encoding.PEM
    (out / "roots.pem").write_bytes(root.cert.public_bytes(pem))
    (out / "intermediate.pem").write_bytes(middle.cert.public_bytes(pem))
    (out / "other.pem").write_bytes(other.cert.public_bytes(pem))
    put("good")
    put("p521", private=key(ec.SECP521R1()))
    put("bare", chain=[])
    put("with-root", chain=[middle.cert, root.cert])
    put("expired", start=START, end=SIGNED)
    put("future", start=END - datetime.timedelta(days=1))
    put("no-signing", digital=False)
    put("no-code", eku=EKU.SERVER_AUTH)
    put("tls-authority", above=Authority("For TLS", root, eku=EKU.SERVER_AUTH))
    put("other-key", signer=key())
    put("rsa", private=rsa.generate_private_key(65537, 2048))
    fake = Authority("Intermediate", other)
    put("forged", above=fake, chain=[fake.cert, other.cert])
    leafless = Authority("No authority", middle, ca=False)
    put("under-leaf", above=leafless, chain=[leafless.cert, middle.cert])


# ---- method sigstore ----

def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def tree(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node(tree(leaves[:k]), tree(leaves[k:]))


def proof(leaves, index):
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return (proof(leaves[:k], index) + [tree(leaves[k:])]) if index < k else (proof(leaves[k:], index - k) + [tree(leaves[:k])])


class Log:
    def __init__(self):
        self.key = key()
        self.id = hashlib.sha256(der(self.key)).digest()


def sct(log, build, above, bad=False):
    """One timestamp (RFC 6962, 3.2) of a certificate that has none yet."""
    tbs = build.sign(above.key, hashes.SHA384()).tbs_certificate_bytes
    when = struct.pack(">Q", int(SIGNED.timestamp() * 1000))
    signed = b"\0\0" + when + b"\0\1" + hashlib.sha256(der(above.key)).digest() + struct.pack(">I", len(tbs))[1:] + tbs + b"\0\0"
    signature = sign(log.key, signed + (b"?" if bad else b""))
    one = b"\0" + log.id + when + b"\0\0" + b"\4\3" + struct.pack(">H", len(signature)) + signature
    several = struct.pack(">H", len(one)) + one
    several = struct.pack(">H", len(several)) + several
    return b"\x04" + (bytes([len(several)]) if len(several) < 128 else b"\x81" + bytes([len(several)])) + several


def utf8(text):
    return b"\x0c" + bytes([len(text)]) + text.encode()


def make_sigstore(out):
    root = Authority("sigstore of a test", curve=ec.SECP384R1())
    fulcio = Authority("fulcio of a test", root, eku=EKU.CODE_SIGNING, curve=ec.SECP384R1())
    stranger = Authority("fulcio of a test", Authority("sigstore of a test"))
    rekor, other_log, ct = Log(), Log(), Log()

    def certificate(private, above=fulcio, how="", start=SIGNED):
        names = {"two-names": [x509.RFC822Name(IDENTITY), x509.RFC822Name("eve@example.org")],
                 "good-uri": [x509.UniformResourceIdentifier(WORKFLOW)],
                 "good-user": [x509.OtherName(USER_NAME, utf8("robin!example.org"))],
                 "other-name": [x509.OtherName(ISSUER_2, utf8(IDENTITY))],
                 "dns": [x509.DNSName(IDENTITY.split("@")[1])]}.get(how, [x509.RFC822Name(IDENTITY)])
        more = [(x509.SubjectAlternativeName(names), True),
                (x509.UnrecognizedExtension(ISSUER_1, b"https://evil.example.org" if how == "two-issuers" else PROVIDER.encode()), False),
                (x509.UnrecognizedExtension(ISSUER_2, utf8(PROVIDER)), False)]
        if how == "no-issuer":
            more = more[:1]
        build = leaf(above, private, start, start + datetime.timedelta(minutes=10), text="", more=more,
                     eku=EKU.SERVER_AUTH if how == "no-code" else EKU.CODE_SIGNING)
        if how != "no-sct":
            build = build.add_extension(x509.UnrecognizedExtension(
                SCTS, sct(other_log if how == "other-ct" else ct, build, above, bad=how == "bad-sct")), False)
        return build.sign(above.key, hashes.SHA384())

    def checkpoint(origin, size, top, log):
        text = f"{origin}\n{size}\n{b64(top)}\n"
        return f"{text}\n\u2014 {origin.split(' ')[0]} {b64(rekor.id[:4] + sign(log.key, text.encode()))}\n"

    def body(cert, signature, payload):
        pem = cert.public_bytes(serialization.Encoding.PEM)
        return json.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "envelopeHash": {"algorithm": "sha256", "value": "00" * 32},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [{"signature": b64(signature), "verifier": b64(pem)}]}}, separators=(",", ":")).encode()

    def entry(content, when, how):
        leaves = [hashlib.sha256(b"\0entry %d" % n).digest() for n in range(11)]
        leaves[6] = hashlib.sha256(b"\0" + content).digest()
        top, index = tree(leaves), 1000006
        promise = json.dumps({"body": b64(content), "integratedTime": when, "logID": rekor.id.hex(), "logIndex": index},
                             separators=(",", ":"), sort_keys=True).encode()
        log = other_log if how == "other-checkpoint" else rekor
        note = checkpoint("rekor.test - 42", 11, bytes(32) if how == "other-root" else top, log)
        return {"logIndex": str(index), "logId": {"keyId": b64(rekor.id)}, "kindVersion": {"kind": "dsse", "version": "0.0.1"},
                "integratedTime": str(when),
                "inclusionPromise": {"signedEntryTimestamp": b64(sign((other_log if how == "other-promise" else rekor).key, promise))},
                "inclusionProof": {"logIndex": "6", "rootHash": b64(top), "treeSize": "11", "hashes": [b64(h) for h in proof(leaves, 6)],
                                   "checkpoint": {"envelope": note}}, "canonicalizedBody": b64(content)}

    def make(how=""):
        private, above = key(), stranger if how == "stranger" else fulcio
        cert = certificate(private, above, how)
        signature = sign(key() if how == "other-signature" else private, PAE)
        content = body(certificate(key(), above) if how == "other-certificate" else cert,
                       sign(private, PAE) if how == "other-signature-logged" else signature,
                       PAYLOAD + b" " if how == "other-payload" else PAYLOAD)
        if how == "other-kind":
            content = content.replace(b'"dsse"', b'"rekord"')
        when = int(SIGNED.timestamp()) + (3600 if how == "late" else -60 if how == "early" else 60)
        return bundle({"certificate": {"rawBytes": b64(der(cert))}, "tlogEntries": [entry(content, when, how)]}, signature)

    for how in ("good", "good-uri", "good-user", "other-name", "dns", "two-names", "two-issuers", "no-issuer", "no-code", "no-sct", "other-ct", "bad-sct", "other-checkpoint", "other-root",
                "other-promise", "stranger", "other-signature", "other-certificate", "other-signature-logged", "other-payload", "other-kind",
                "late", "early"):
        write(out / f"{how}.sig", make(how))

    # changed afterwards, by somebody without any key
    good = json.loads((out / "good.sig").read_text())

    def change(file, *path, to):
        again = copy.deepcopy(good)
        at = again["verificationMaterial"]["tlogEntries"][0]
        for part in path[:-1]:
            at = at[part]
        at[path[-1]] = to(at[path[-1]]) if callable(to) else to
        write(out / f"{file}.sig", again)

    change("time-changed", "integratedTime", to=lambda t: str(int(t) + 1))
    change("index-changed", "logIndex", to="1000007")
    change("leaf-changed", "inclusionProof", "logIndex", to="5")
    change("size-changed", "inclusionProof", "treeSize", to="12")
    change("hash-changed", "inclusionProof", "hashes", 1, to=b64(bytes(32)))
    change("root-changed", "inclusionProof", "rootHash", to=b64(bytes(32)))
    change("log-changed", "logId", "keyId", to=b64(other_log.id))
    change("version-changed", "kindVersion", "version", to="0.0.2")
    change("no-promise", "inclusionPromise", to=None)

    def log(one, start=START, end=None):
        return {"baseUrl": "https://log.example.org", "hashAlgorithm": "SHA2_256", "publicKey": {
            "rawBytes": b64(der(one.key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid(start, end)},
            "logId": {"keyId": b64(one.id)}}

    def valid(start, end):
        return {"start": start.strftime("%Y-%m-%dT%H:%M:%SZ"), **({"end": end.strftime("%Y-%m-%dT%H:%M:%S.999Z")} if end else {})}

    def authority(start=START, end=None):
        return {"subject": {"organization": "test", "commonName": "test"}, "uri": "https://fulcio.example.org",
                "certChain": {"certificates": [{"rawBytes": b64(der(c))} for c in (fulcio.cert, root.cert)]}, "validFor": valid(start, end)}

    trusted = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [log(rekor)],
               "certificateAuthorities": [authority(end=START), authority()], "ctlogs": [log(ct)], "timestampAuthorities": []}
    before = SIGNED - datetime.timedelta(days=1)
    write(out / "root.json", trusted)
    write(out / "root.old-rekor.json", dict(trusted, tlogs=[log(rekor, end=before)]))
    write(out / "root.old-fulcio.json", dict(trusted, certificateAuthorities=[authority(end=before)]))
    write(out / "root.old-ct.json", dict(trusted, ctlogs=[log(ct, end=before)]))


for folder, make in (("certificate", make_certificates), ("sigstore", make_sigstore)):
    shutil.rmtree(HERE / folder, ignore_errors=True)
    (HERE / folder).mkdir()
    make(HERE / folder)
