//! Who a connection is and what it may do. Pure.
//!
//! ```text
//!   auth packet ──authenticate──▶ identities of the connection
//!   ACL in a request ──fix_up──▶ ACL as stored
//!   ACL as stored, identities ──check──▶ may, or NoAuth
//! ```
//!
//! A scheme is one variant of [`Scheme`]; [`Auth`] holds those that this server knows. `world` and
//! `auth` are words of ACLs and `super` is an identity: none of them is a scheme of its own.

mod digest;
mod ip;
mod scheme;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;

use jute::{Acl, ErrorCode, Id};

pub use digest::{DigestAlgorithm, DigestScheme, UnknownAlgorithm};
pub use ip::ip_identity;
pub use scheme::{EnsembleScheme, Scheme};

/// The permission bits.
pub mod perms {
    pub const READ: i32 = 1;
    pub const WRITE: i32 = 2;
    pub const CREATE: i32 = 4;
    pub const DELETE: i32 = 8;
    pub const ADMIN: i32 = 16;
    pub const ALL: i32 = 31;
}

/// What becomes of an auth packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthOutcome {
    /// Answer 0; the connection has these identities too from now on. There may be none.
    Accepted(Vec<Id<'static>>),
    /// Answer 0: the client has named this ensemble.
    RightEnsemble,
    /// Answer AuthFailed, then close the connection.
    Refused,
    /// Close the connection without an answer: the client is meant for another ensemble and
    /// tries its next server.
    TryAnotherServer,
}

/// The rules of this server. Never changes once it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// `skipACL`: everybody may do everything.
    skip_acl: bool,
    schemes: Vec<Scheme>,
}

impl Default for Auth {
    /// Apache's without any setting: ip and digest.
    fn default() -> Auth {
        Auth::new(false, vec![Scheme::Ip, Scheme::Digest(DigestScheme::default())])
    }
}

impl Auth {
    /// The rules with these schemes; of two with the same name the later one counts.
    pub fn new(skip_acl: bool, schemes: Vec<Scheme>) -> Auth {
        Auth { skip_acl, schemes }
    }

    /// Whether somebody with `ids` has one of the bits of `permission` on a node with this list
    /// (`ZooKeeperServer.checkACL`). Nothing is inherited from nodes above.
    pub fn check(
        &self,
        acl: &[Acl<'_>],
        permission: i32,
        ids: &[Id<'static>],
    ) -> Result<(), ErrorCode> {
        let open = self.skip_acl || acl.is_empty();
        if open || ids.iter().any(|id| id.scheme() == "super") {
            return Ok(());
        }
        let granted = |entry: &Acl<'_>| {
            entry.perms & permission != 0 && (is_anyone(&entry.id) || self.is_one(ids, &entry.id))
        };
        if acl.iter().any(granted) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    /// Whether somebody with `ids` may be told of a node with this list.
    pub fn may_read(&self, acl: &[Acl<'_>], ids: &[Id<'static>]) -> bool {
        self.check(acl, perms::READ, ids).is_ok()
    }

    /// The list to store for one in a request (`PrepRequestProcessor.fixupACL`): without
    /// duplicates, and with the caller's identities where it says `auth`.
    ///
    /// # Errors
    /// `InvalidAcl`, or `MarshallingError` for a null where an id has to be.
    pub fn fix_up(
        &self,
        acl: Option<&[Acl<'_>]>,
        ids: &[Id<'static>],
    ) -> Result<Vec<Acl<'static>>, ErrorCode> {
        let unique = unique(acl.unwrap_or_default())?;
        if unique.is_empty() {
            return Err(ErrorCode::InvalidAcl);
        }
        let mut fixed = Vec::with_capacity(unique.len());
        for entry in unique {
            let scheme = entry.id.scheme.as_deref().ok_or(ErrorCode::InvalidAcl)?;
            let id = entry.id.id.as_deref();
            match scheme {
                "world" if id.ok_or(ErrorCode::MarshallingError)? == "anyone" => {
                    fixed.push(entry.clone().into_owned());
                }
                "auth" => {
                    let before = fixed.len();
                    let proven = ids.iter().filter(|id| self.is_proven(id));
                    fixed.extend(proven.map(|id| Acl::new(entry.perms, id.clone())));
                    if fixed.len() == before {
                        return Err(ErrorCode::InvalidAcl);
                    }
                }
                scheme => {
                    let scheme = self.scheme(scheme).ok_or(ErrorCode::InvalidAcl)?;
                    if !scheme.is_valid(id.ok_or(ErrorCode::MarshallingError)?) {
                        return Err(ErrorCode::InvalidAcl);
                    }
                    fixed.push(entry.clone().into_owned());
                }
            }
        }
        Ok(fixed)
    }

    /// What an auth packet from `peer` brings.
    pub fn authenticate(&self, scheme: &str, data: Option<&[u8]>, peer: IpAddr) -> AuthOutcome {
        match self.scheme(scheme) {
            Some(scheme) => scheme.authenticate(data, peer),
            None => AuthOutcome::Refused,
        }
    }

    /// whoAmI: scheme and user of every identity.
    pub fn client_infos(&self, ids: &[Id<'static>]) -> Vec<(String, String)> {
        ids.iter()
            .map(|id| {
                let user = self.scheme(id.scheme()).map_or("", |scheme| scheme.user(id.id()));
                (id.scheme().to_owned(), user.to_owned())
            })
            .collect()
    }

    /// Whether the server knows a scheme of this name.
    pub fn knows(&self, scheme: &str) -> bool {
        self.scheme(scheme).is_some()
    }

    fn scheme(&self, name: &str) -> Option<&Scheme> {
        self.schemes.iter().rev().find(|scheme| scheme.name() == name)
    }

    /// Whether one of `ids` is meant by an entry of a list.
    fn is_one(&self, ids: &[Id<'static>], entry: &Id<'_>) -> bool {
        let Some(scheme) = self.scheme(entry.scheme()) else { return false };
        ids.iter().any(|id| id.scheme() == entry.scheme() && scheme.matches(id.id(), entry.id()))
    }

    /// Whether the identity is something that its holder had to prove.
    fn is_proven(&self, id: &Id<'_>) -> bool {
        self.scheme(id.scheme()).is_some_and(Scheme::is_authenticating)
    }
}

/// What somebody without ADMIN is shown of a list: of digests only the user's name
/// (ZOOKEEPER-1392).
pub fn redact(acl: &[Acl<'static>]) -> Vec<Acl<'static>> {
    acl.iter()
        .map(|entry| match entry.id.id().split_once(':') {
            Some((user, _)) if entry.id.scheme() == "digest" => {
                Acl::new(entry.perms, Id::new("digest", format!("{user}:x")))
            }
            _ => entry.clone(),
        })
        .collect()
}

fn is_anyone(id: &Id<'_>) -> bool {
    id.scheme() == "world" && id.id() == "anyone"
}

/// Drops entries that are there already. Apache compares each with all before it and fails where
/// that takes it to a null.
fn unique<'l, 'a>(acl: &'l [Acl<'a>]) -> Result<Vec<&'l Acl<'a>>, ErrorCode> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::with_capacity(acl.len());
    for entry in acl {
        let (scheme, id) = (entry.id.scheme.as_deref(), entry.id.id.as_deref());
        let alike = seen.range((entry.perms, scheme, None)..).next();
        let reaches_null = alike.is_some_and(|&(perms, other, _)| {
            perms == entry.perms && (scheme.is_none() || (id.is_none() && other == scheme))
        });
        if reaches_null {
            return Err(ErrorCode::MarshallingError);
        }
        if seen.insert((entry.perms, scheme, id)) {
            kept.push(entry);
        }
    }
    Ok(kept)
}
