//! What a member of an ensemble must be told, resolved from a configuration.

use std::net::SocketAddr;
use std::sync::Arc;

use super::exit::{ExitCode, Failure};
use super::start::kilobytes;
use crate::config::{self, Config, Member, Members, PeerRole};
use crate::net::{self, QuorumAddress};
use crate::types::{Epoch, Sid};
use crate::zab::{
    ElectionOptions, LearnerKind, Membership, QuorumRule, Quorums, Start, ZabOptions,
};
