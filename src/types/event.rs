//! What a watch can tell of, and the two tables it can stand in.

/// What a notification tells. The numbers are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum EventKind {
    /// The znode came into being.
    NodeCreated = 1,
    /// The znode went away.
    NodeDeleted = 2,
    /// The znode's data was set.
    NodeDataChanged = 3,
    /// A child was created or deleted.
    NodeChildrenChanged = 4,
}

/// The two watch tables of a server: a data watch is set by getData and exists, a child watch by
/// getChildren.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// Fired by creation, change and deletion of the path itself.
    Data = 0,
    /// Fired by changes of the path's children, and by its deletion.
    Child = 1,
}
