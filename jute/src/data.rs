//! Records that live in the tree and travel everywhere (Apache's `org.apache.zookeeper.data`).

use std::borrow::Cow;

record! {
    /// Who: an authentication scheme and what it knows the client by.
    Id<'a> {
        scheme: Option<Cow<'a, str>>,
        id: Option<Cow<'a, str>>,
    }
}

record! {
    /// One entry of an access control list.
    Acl<'a> {
        /// Bits: READ 1, WRITE 2, CREATE 4, DELETE 8, ADMIN 16. Not validated by Apache.
        perms: i32,
        id: Id<'a>,
    }
}

record! {
    /// What a client is told of a znode: 68 bytes.
    #[derive(Copy, Default)]
    Stat {
        czxid: i64,
        mzxid: i64,
        /// Wall clock of the creating server, ms.
        ctime: i64,
        mtime: i64,
        version: i32,
        /// 2 × creations of children − children that are there.
        cversion: i32,
        aversion: i32,
        ephemeral_owner: i64,
        data_length: i32,
        num_children: i32,
        pzxid: i64,
    }
}

record! {
    /// What a snapshot keeps of a znode: 60 bytes.
    #[derive(Copy, Default)]
    StatPersisted {
        czxid: i64,
        mzxid: i64,
        ctime: i64,
        mtime: i64,
        version: i32,
        /// Creations of children.
        cversion: i32,
        aversion: i32,
        ephemeral_owner: i64,
        pzxid: i64,
    }
}

impl<'a> Id<'a> {
    /// An identity with both parts present.
    pub fn new(scheme: impl Into<Cow<'a, str>>, id: impl Into<Cow<'a, str>>) -> Self {
        Id { scheme: Some(scheme.into()), id: Some(id.into()) }
    }

    /// The scheme, empty if null.
    pub fn scheme(&self) -> &str {
        self.scheme.as_deref().unwrap_or("")
    }

    /// The id, empty if null.
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or("")
    }

    /// The same, owning its text.
    pub fn into_owned(self) -> Id<'static> {
        Id {
            scheme: self.scheme.map(|s| Cow::Owned(s.into_owned())),
            id: self.id.map(|s| Cow::Owned(s.into_owned())),
        }
    }
}

impl<'a> Acl<'a> {
    /// An entry.
    pub fn new(perms: i32, id: Id<'a>) -> Self {
        Acl { perms, id }
    }

    /// The same, owning its text.
    pub fn into_owned(self) -> Acl<'static> {
        Acl { perms: self.perms, id: self.id.into_owned() }
    }

    /// `world:anyone` with all permissions.
    pub fn open_unsafe() -> Acl<'static> {
        Acl::new(31, Id::new("world", "anyone"))
    }
}
