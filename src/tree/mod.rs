//! The replicated state: the tree of znodes and the sessions. Pure.
//!
//! ```text
//!   transaction ──apply──▶ Replica ──▶ Applied (for the reply) + Fired (for the watches)
//!   path ──find──▶ NodeId ──node──▶ NodeRef (for reads and for prep)
//!   begin_image ─▶ image_slice … ─▶ end_image (for snapshots)     ReplicaLoader (from snapshots)
//! ```
//!
//! Znodes live in an arena and know each other by 32-bit ids; each keeps its own name only, and
//! one index finds children by parent and name. So a node takes 120 bytes, about 10 in the index,
//! and one allocation with its name and its data. Measured, a million nodes of 100 bytes take 144
//! bytes each beyond name and data, allocator included (`examples/tree_memory.rs`).
//!
//! **Invariant:** nothing here knows a file, a socket, the time or a random number. What a
//! transaction needs of those is in its header.

mod acl_table;
mod apply;
mod arena;
mod digest;
mod fired;
mod image;
mod index;
mod loader;
mod owner;
mod quota;
mod replica;

#[cfg(test)]
mod tests;

pub use acl_table::AclId;
pub use apply::Applied;
pub use arena::NodeId;
pub use digest::{is_digested, node_digest, path_data_crc, DIGEST_VERSION};
pub use fired::Fired;
pub use image::{ImageCursor, ImageHead, ImageNode, ImageRest};
pub use loader::{LoadError, ReplicaLoader};
pub use owner::{ttl_owner, Owner, OwnerRules, CONTAINER_OWNER, TTL_MAX_MS};
pub use quota::{limits_path, stats_path, QuotaText, LIMITS_NAME, QUOTA_PATH, STATS_NAME};
pub use replica::{NodeRef, Replica, TreeOptions, CONFIG_PATH};
