//! Rows of authentication and TLS, all of them system properties with the prefix `zookeeper.`.

use super::Kind::{Class, DecodedInt, ExactTrue, Flag, Path, Secret, Text, Words};
use super::Work::{Operator, Security};
use super::{prop, Key};

const NO_CLASSES: &str = "no Java class can be loaded";

pub(super) static AUTHENTICATION: &[Key] = &[
    prop("DigestAuthenticationProvider.superDigest", Secret, "")
        .doc("`super:` and the base64 of the digest of `super:password`: who may do everything"),
    prop("DigestAuthenticationProvider.enabled", Flag, "true").doc("the scheme digest"),
    prop("DigestAuthenticationProvider.digestAlg", Text, "SHA1").doc("digest of passwords"),
    prop("superUser", Text, "").later(Security).doc("SASL name that may do everything"),
    prop("superUser.*", Text, "").later(Security).doc("further such names"),
    prop("SASLAuthenticationProvider.superPassword", Secret, "")
        .later(Security)
        .doc("password of the user super in DIGEST-MD5"),
    prop("X509AuthenticationProvider.superUser", Text, "")
        .later(Security)
        .doc("certificate subject that may do everything"),
    prop("authProvider.*", Class, "")
        .doc("provider classes, of which the shipped ones mean something"),
    prop("ensembleAuthName", Words, "").doc("names that the scheme ensemble accepts"),
    prop("sessionRequireClientSASLAuth", Flag, "false").doc("sessions only with SASL"),
    prop("enforce.auth.enabled", Flag, "false")
        .doc("sessions only with one of the next key's schemes"),
    prop("enforce.auth.schemes", Words, "").doc("schemes, one of which a session needs"),
    prop("allowSaslFailedClients", Flag, "false")
        .later(Security)
        .doc("keep clients whose SASL failed"),
    prop("sasl.serverconfig", Text, "Server").later(Security).doc("JAAS section"),
    prop("kerberos.removeHostFromPrincipal", ExactTrue, "false")
        .later(Security)
        .doc("drop the host from a principal"),
    prop("kerberos.removeRealmFromPrincipal", ExactTrue, "false")
        .later(Security)
        .doc("drop the realm from a principal"),
    prop("kerberos.canonicalizeHostNames", Flag, "false")
        .later(Security)
        .doc("look up full host names of members"),
    prop("security.auth_to_local", Text, "DEFAULT")
        .later(Security)
        .doc("rules from Kerberos principals to names"),
    prop("requireKerberosConfig", ExactTrue, "false")
        .later(Security)
        .doc("no start without Kerberos"),
    prop("kinit", Path, "/usr/bin/kinit").later(Security).doc("program that renews tickets"),
    prop("IPAuthenticationProvider.usexforwardedfor", Flag, "false")
        .later(Operator)
        .doc("trust X-Forwarded-For at the admin server"),
    prop("letAnySaslUserDoX", Text, "")
        .without_meaning("a testing aid")
        .doc("opens an ACL to all of SASL"),
];

/// The same rows under two prefixes, with the defaults in which the two differ.
macro_rules! tls {
    ($prefix:literal, client_host: $client_host:literal, reverse: $reverse:literal) => {
        &[
            prop(concat!($prefix, "keyStore.location"), Path, "").later(Security).doc("own key"),
            prop(concat!($prefix, "keyStore.password"), Secret, "")
                .later(Security)
                .doc("its password"),
            prop(concat!($prefix, "keyStore.passwordPath"), Path, "")
                .later(Security)
                .doc("file with the password; wins"),
            prop(concat!($prefix, "keyStore.type"), Text, "=file extension")
                .later(Security)
                .doc("JKS, PEM, PKCS12 or BCFKS"),
            prop(concat!($prefix, "trustStore.location"), Path, "")
                .later(Security)
                .doc("trusted certificates"),
            prop(concat!($prefix, "trustStore.password"), Secret, "")
                .later(Security)
                .doc("its password"),
            prop(concat!($prefix, "trustStore.passwordPath"), Path, "")
                .later(Security)
                .doc("file with the password; wins"),
            prop(concat!($prefix, "trustStore.type"), Text, "=file extension")
                .later(Security)
                .doc("JKS, PEM, PKCS12 or BCFKS"),
            prop(concat!($prefix, "protocol"), Text, "TLSv1.3").later(Security).doc("protocol"),
            prop(concat!($prefix, "enabledProtocols"), Words, "=protocol")
                .later(Security)
                .doc("protocols allowed"),
            prop(concat!($prefix, "ciphersuites"), Words, "")
                .later(Security)
                .doc("cipher suites allowed"),
            prop(concat!($prefix, "hostnameVerification"), Flag, "true")
                .later(Security)
                .doc("the certificate must name the host"),
            prop(concat!($prefix, "clientHostnameVerification"), Flag, $client_host)
                .later(Security)
                .doc("the same for whoever connects"),
            prop(concat!($prefix, "allowReverseDnsLookup"), Flag, $reverse)
                .later(Security)
                .doc("look up the name of an address for that"),
            prop(concat!($prefix, "clientAuth"), Text, "need")
                .later(Security)
                .doc("need, want or none"),
            prop(concat!($prefix, "crl"), Flag, "false").later(Security).doc("revocation lists"),
            prop(concat!($prefix, "ocsp"), Flag, "false").later(Security).doc("revocation by OCSP"),
            prop(concat!($prefix, "handshakeDetectionTimeoutMillis"), DecodedInt, "5000")
                .unit("ms")
                .later(Security)
                .doc("time to tell TLS from plaintext"),
            prop(concat!($prefix, "context.supplier.class"), Class, "")
                .without_meaning(NO_CLASSES)
                .doc("class that makes the TLS context"),
        ]
    };
}

pub(super) static CLIENT_TLS: &[Key] = tls!("ssl.", client_host: "false", reverse: "false");
pub(super) static MEMBER_TLS: &[Key] = tls!("ssl.quorum.", client_host: "true", reverse: "true");

pub(super) static TLS: &[Key] = &[
    prop("ssl.authProvider", Text, "x509").later(Security).doc("scheme of TLS clients"),
    prop("ssl.sslProvider", Text, "JDK")
        .without_meaning("there is one TLS library")
        .doc("Netty's choice of a TLS library"),
    prop("client.portUnification", Flag, "false")
        .later(Security)
        .doc("the client port takes TLS and plaintext"),
    prop("client.certReload", Flag, "false").later(Security).doc("read changed store files again"),
    prop("fips-mode", Flag, "true").later(Security).doc("leave hostname checks to the TLS library"),
];
