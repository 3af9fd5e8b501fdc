//! Who may say who he is, and who may do everything. The values only; the schemes themselves live
//! in the room `auth`.

use super::error::{ConfigError, ExitCode, What};
use super::settings::{Reader, Secret};

/// A shipped authentication provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthProvider {
    Ip,
    Digest,
    Sasl,
    X509,
    Ensemble,
    /// Apache's sample.
    Key,
}

impl AuthProvider {
    /// The scheme under which clients and ACLs name it.
    pub fn scheme(self) -> &'static str {
        match self {
            AuthProvider::Ip => "ip",
            AuthProvider::Digest => "digest",
            AuthProvider::Sasl => "sasl",
            AuthProvider::X509 => "x509",
            AuthProvider::Ensemble => "ensemble",
            AuthProvider::Key => "key",
        }
    }

    fn of_class(class: &str) -> Option<AuthProvider> {
        match class.strip_prefix("org.apache.zookeeper.server.auth.")? {
            "IPAuthenticationProvider" => Some(AuthProvider::Ip),
            "DigestAuthenticationProvider" => Some(AuthProvider::Digest),
            "SASLAuthenticationProvider" => Some(AuthProvider::Sasl),
            "X509AuthenticationProvider" => Some(AuthProvider::X509),
            "EnsembleAuthenticationProvider" => Some(AuthProvider::Ensemble),
            "KeyAuthenticationProvider" => Some(AuthProvider::Key),
            _ => None,
        }
    }
}

/// The digest of passwords in the scheme digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestAlgorithm {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl DigestAlgorithm {
    /// By Java's names, in any case and with or without the hyphen.
    fn parse(name: &str) -> Option<DigestAlgorithm> {
        match name.to_ascii_uppercase().as_str() {
            "SHA" | "SHA1" | "SHA-1" => Some(DigestAlgorithm::Sha1),
            "SHA224" | "SHA-224" => Some(DigestAlgorithm::Sha224),
            "SHA256" | "SHA-256" => Some(DigestAlgorithm::Sha256),
            "SHA384" | "SHA-384" => Some(DigestAlgorithm::Sha384),
            "SHA512" | "SHA-512" => Some(DigestAlgorithm::Sha512),
            _ => None,
        }
    }
}

/// Authentication and authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// `true`: no ACL refuses anybody.
    pub skip_acl: bool,
    /// Check ACLs before a write is queued.
    pub eager_acl_check: bool,
    /// The providers at work, sorted, each once.
    pub providers: Vec<AuthProvider>,
    pub digest_algorithm: DigestAlgorithm,
    /// `super:<digest>`: who proves it may do everything.
    pub super_digest: Option<Secret>,
    /// Names that the scheme ensemble accepts; `None`: it accepts any.
    pub ensemble_names: Option<Vec<String>>,
    /// A session needs one of these schemes; empty: it needs none.
    pub enforced_schemes: Vec<String>,
    /// The session itself must authenticate by SASL before anything else.
    pub session_requires_client_sasl: bool,
    /// Keep clients whose SASL failed.
    pub allow_sasl_failed_clients: bool,
}

impl Auth {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Auth, ConfigError> {
        let providers = providers(reader)?;
        let session_requires_client_sasl = reader.switch("sessionRequireClientSASLAuth")?;
        Ok(Auth {
            skip_acl: reader.switch("skipACL")?,
            eager_acl_check: reader.switch("enableEagerACLCheck")?,
            digest_algorithm: digest_algorithm(reader)?,
            super_digest: reader.text("DigestAuthenticationProvider.superDigest").map(Secret::new),
            ensemble_names: ensemble_names(reader),
            enforced_schemes: enforced_schemes(reader, &providers, session_requires_client_sasl)?,
            session_requires_client_sasl,
            allow_sasl_failed_clients: reader.switch("allowSaslFailedClients")?,
            providers,
        })
    }
}

/// ip always, digest unless switched off, and whatever the class names add. A class that cannot be
/// loaded is worth a warning and no more (Apache's `ProviderRegistry`).
fn providers(reader: &mut Reader<'_>) -> Result<Vec<AuthProvider>, ConfigError> {
    let mut providers = vec![AuthProvider::Ip];
    if reader.switch("DigestAuthenticationProvider.enabled")? {
        providers.push(AuthProvider::Digest);
    }
    let settings = reader.settings;
    for (name, setting) in settings.with_prefix("authProvider.") {
        match AuthProvider::of_class(&setting.value) {
            Some(provider) => providers.push(provider),
            None => {
                let message = format!("Problems loading {}; it is left out", setting.value);
                reader.remark(What::Value, &format!("authProvider.{name}"), message);
            }
        }
    }
    providers.sort_unstable();
    providers.dedup();
    Ok(providers)
}

fn digest_algorithm(reader: &Reader<'_>) -> Result<DigestAlgorithm, ConfigError> {
    const KEY: &str = "DigestAuthenticationProvider.digestAlg";
    let name = reader.text(KEY).unwrap_or_default();
    DigestAlgorithm::parse(&name).ok_or_else(|| {
        let words =
            format!("don't support this ACL digest algorithm: {name} in the current environment");
        let advice = "SHA1, SHA-224, SHA-256, SHA-384 and SHA-512 are supported";
        reader.refuse(KEY, &words, advice).exiting(ExitCode::Unexpected)
    })
}

fn ensemble_names(reader: &Reader<'_>) -> Option<Vec<String>> {
    let names = reader.text("ensembleAuthName")?;
    Some(names.split(',').map(|name| name.trim().to_owned()).collect())
}

/// The demand of sessionRequireClientSASLAuth replaces the two enforce.auth keys. A scheme that no
/// provider serves would shut everybody out, so it stops the start (Apache's
/// `AuthenticationHelper`).
fn enforced_schemes(
    reader: &mut Reader<'_>,
    providers: &[AuthProvider],
    sasl_required: bool,
) -> Result<Vec<String>, ConfigError> {
    const KEY: &str = "enforce.auth.schemes";
    let (schemes, key) = if sasl_required {
        (vec!["sasl".to_owned()], "sessionRequireClientSASLAuth")
    } else if reader.switch("enforce.auth.enabled")? {
        (reader.words(KEY), KEY)
    } else {
        return Ok(vec![]);
    };
    if schemes.is_empty() {
        let words =
            "zookeeper.enforce.auth.enabled is true zookeeper.enforce.auth.schemes must be  \
                     configured.";
        let advice = "name one scheme at least, such as enforce.auth.schemes=digest";
        return Err(reader.refuse("enforce.auth.enabled", words, advice));
    }
    let served = |scheme: &String| providers.iter().any(|provider| provider.scheme() == scheme);
    match schemes.iter().find(|scheme| !served(scheme)) {
        None => Ok(schemes),
        Some(scheme) => {
            let words = format!("Authentication scheme {scheme} is not available.");
            let advice = "name its provider with an authProvider line";
            Err(reader.refuse(key, &words, advice))
        }
    }
}
