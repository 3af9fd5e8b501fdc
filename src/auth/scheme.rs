//! What the schemes have in common, as one table (Apache's `AuthenticationProvider`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::digest::DigestScheme;
use super::{ip, AuthOutcome};

/// A scheme that a server can know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// The address of the client.
    Ip,
    /// A user and a password.
    Digest(DigestScheme),
    /// The name of the ensemble that the client wants.
    Ensemble(EnsembleScheme),
}

/// Lets clients make sure that they talk to the ensemble they mean (`ensembleAuthName`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnsembleScheme {
    /// `None` lets everybody in.
    names: Option<BTreeSet<String>>,
}

impl EnsembleScheme {
    /// Accepts clients that want one of these ensembles, or, without names, any.
    pub fn new(names: Option<impl IntoIterator<Item = String>>) -> EnsembleScheme {
        EnsembleScheme { names: names.map(|names| names.into_iter().collect()) }
    }

    fn authenticate(&self, data: Option<&[u8]>) -> AuthOutcome {
        let name = jute::decode_text(data.unwrap_or_default());
        match &self.names {
            Some(names) if !name.is_empty() => match names.contains(&*name) {
                true => AuthOutcome::RightEnsemble,
                false => AuthOutcome::TryAnotherServer,
            },
            _ => AuthOutcome::Accepted(Vec::new()),
        }
    }
}

impl Scheme {
    /// What it is called in identities and lists.
    pub fn name(&self) -> &'static str {
        match self {
            Scheme::Ip => "ip",
            Scheme::Digest(_) => "digest",
            Scheme::Ensemble(_) => "ensemble",
        }
    }

    /// Whether its identities are proven, so that `auth` in a list stands for them.
    pub fn is_authenticating(&self) -> bool {
        match self {
            Scheme::Digest(_) => true,
            Scheme::Ip | Scheme::Ensemble(_) => false,
        }
    }

    /// Whether a list may name this id.
    pub fn is_valid(&self, id: &str) -> bool {
        match self {
            Scheme::Ip => ip::is_valid(id),
            Scheme::Digest(_) => DigestScheme::is_valid(id),
            Scheme::Ensemble(_) => false,
        }
    }

    /// Whether the caller's id is meant by the one in a list.
    pub fn matches(&self, caller: &str, listed: &str) -> bool {
        match self {
            Scheme::Ip => ip::matches(caller, listed),
            Scheme::Digest(_) => caller == listed,
            Scheme::Ensemble(_) => false,
        }
    }

    /// What an auth packet from `peer` brings.
    pub fn authenticate(&self, data: Option<&[u8]>, peer: IpAddr) -> AuthOutcome {
        match self {
            Scheme::Ip => AuthOutcome::Accepted(vec![ip::ip_identity(peer)]),
            Scheme::Digest(digest) => match data {
                Some(data) => AuthOutcome::Accepted(digest.identities(data)),
                None => AuthOutcome::Refused,
            },
            Scheme::Ensemble(ensemble) => ensemble.authenticate(data),
        }
    }

    /// The part of an id that may be shown: the user.
    pub fn user<'a>(&self, id: &'a str) -> &'a str {
        match self {
            Scheme::Digest(_) => id.split(':').next().expect("a split has a first piece"),
            Scheme::Ip | Scheme::Ensemble(_) => id,
        }
    }
}
