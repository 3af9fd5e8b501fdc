//! The scheme `digest`: user and password, kept as a hash (`DigestAuthenticationProvider`).
//!
//! Any credential is accepted: it makes an identity, and lists decide what that may do.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use jute::Id;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};

/// The settings of the scheme.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DigestScheme {
    /// `DigestAuthenticationProvider.digestAlg`.
    pub algorithm: DigestAlgorithm,
    /// `DigestAuthenticationProvider.superDigest`: whoever has this identity may do everything.
    pub super_digest: Option<String>,
}

/// How user and password are hashed. Must be the same on all servers of an ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DigestAlgorithm {
    #[default]
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512Of224,
    Sha512Of256,
}

/// A name that is none of [`DigestAlgorithm`]. Apache does not start either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("digest algorithm {0:?} is not supported: use SHA1, SHA-224, SHA-256, SHA-384 or SHA-512")]
pub struct UnknownAlgorithm(pub String);

impl std::str::FromStr for DigestAlgorithm {
    type Err = UnknownAlgorithm;

    /// By Java's names, in any case.
    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "SHA1" | "SHA-1" | "SHA" => DigestAlgorithm::Sha1,
            "SHA-224" | "SHA224" => DigestAlgorithm::Sha224,
            "SHA-256" | "SHA256" => DigestAlgorithm::Sha256,
            "SHA-384" | "SHA384" => DigestAlgorithm::Sha384,
            "SHA-512" | "SHA512" => DigestAlgorithm::Sha512,
            "SHA-512/224" | "SHA512/224" => DigestAlgorithm::Sha512Of224,
            "SHA-512/256" | "SHA512/256" => DigestAlgorithm::Sha512Of256,
            _ => return Err(UnknownAlgorithm(name.to_owned())),
        })
    }
}

impl DigestAlgorithm {
    pub(super) fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            DigestAlgorithm::Sha1 => Sha1::digest(bytes).to_vec(),
            DigestAlgorithm::Sha224 => Sha224::digest(bytes).to_vec(),
            DigestAlgorithm::Sha256 => Sha256::digest(bytes).to_vec(),
            DigestAlgorithm::Sha384 => Sha384::digest(bytes).to_vec(),
            DigestAlgorithm::Sha512 => Sha512::digest(bytes).to_vec(),
            DigestAlgorithm::Sha512Of224 => Sha512_224::digest(bytes).to_vec(),
            DigestAlgorithm::Sha512Of256 => Sha512_256::digest(bytes).to_vec(),
        }
    }
}

impl DigestScheme {
    /// The id of a credential `user:password`: the user and the hash of the whole.
    pub fn id(&self, credential: &str) -> String {
        let user = credential.split(':').next().expect("a split has a first piece");
        let hash = self.algorithm.hash(credential.as_bytes());
        format!("{user}:{}", STANDARD.encode(hash))
    }

    /// The identities of a credential. Bytes that are no UTF-8 count as Java reads them.
    pub fn identities(&self, credential: &[u8]) -> Vec<Id<'static>> {
        let id = self.id(&jute::decode_text(credential));
        let is_super = self.super_digest.as_ref() == Some(&id);
        let super_identity = is_super.then(|| Id::new("super", ""));
        super_identity.into_iter().chain([Id::new("digest", id)]).collect()
    }

    /// Two parts around colons; colons at the end don't count.
    pub(super) fn is_valid(id: &str) -> bool {
        id.trim_end_matches(':').split(':').count() == 2
    }
}
