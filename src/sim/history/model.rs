//! The tree as a client understands it: a map from path to znode, too simple to be wrong.
//!
//! Written from the protocol's rules and without a look at `tree` or `pipeline`. It decides what a
//! write must do ([`Model::decide`]), does what a transaction says ([`Model::apply`]) and answers
//! reads ([`Model::read`]). ACLs, quotas and reconfiguration are beyond it: see [`is_beyond`].

use std::collections::BTreeMap;

use jute::txn::Txn;
use jute::Stat;

use super::record::{Created, Part, Reply, Request};

/// The error numbers that clients see, of those that the model can tell.
pub mod code {
    pub const RUNTIME_INCONSISTENCY: i32 = -2;
    pub const BAD_ARGUMENTS: i32 = -8;
    pub const NO_NODE: i32 = -101;
    pub const BAD_VERSION: i32 = -103;
    pub const NO_CHILDREN_FOR_EPHEMERALS: i32 = -108;
    pub const NODE_EXISTS: i32 = -110;
    pub const NOT_EMPTY: i32 = -111;
}

/// Whether an error comes from what the model knows nothing of: extended types switched off,
/// members and reconfiguration, ACLs, sessions, quotas.
pub fn is_beyond(error: i32) -> bool {
    matches!(error, -6 | -13 | -14 | -102 | -112 | -114 | -118 | -120 | -123 | -125)
}

/// Who makes a znode go away by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Nobody,
    Session(i64),
    Container,
    Ttl(i64),
}

/// A transaction's effect on the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Create {
        path: String,
        data: Option<Vec<u8>>,
        owner: Owner,
        /// The parent's creations with this one.
        creations: i32,
    },
    Delete {
        path: String,
    },
    SetData {
        path: String,
        data: Option<Vec<u8>>,
        version: i32,
    },
    SetAcl {
        path: String,
        version: i32,
    },
    Check {
        path: String,
    },
    /// The session's ephemerals, sorted.
    CloseSession {
        paths: Vec<String>,
    },
}

/// A firing of watches: the kind of event, and the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// As on the wire: 1 created, 2 deleted, 3 data changed, 4 children changed.
    pub kind: i32,
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Znode {
    data: Option<Vec<u8>>,
    czxid: i64,
    mzxid: i64,
    pzxid: i64,
    ctime: i64,
    mtime: i64,
    version: i32,
    aversion: i32,
    /// Children ever created.
    creations: i32,
    owner: Owner,
}

/// The number and the time of a transaction.
#[derive(Debug, Clone, Copy)]
pub struct When {
    pub zxid: i64,
    pub wall_ms: i64,
}

/// The tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    znodes: BTreeMap<String, Znode>,
    /// What the multi that is being decided has changed, as it was before.
    undo: Option<Vec<(String, Option<Znode>)>>,
}

impl Default for Model {
    fn default() -> Self {
        Model::new()
    }
}

impl Model {
    /// A server's first tree.
    pub fn new() -> Model {
        let first = |aversion| Znode {
            data: Some(Vec::new()),
            czxid: 0,
            mzxid: 0,
            pzxid: 0,
            ctime: 0,
            mtime: 0,
            version: 0,
            aversion,
            creations: 0,
            owner: Owner::Nobody,
        };
        let paths = [("/", 0), ("/zookeeper", 0), ("/zookeeper/quota", 0)];
        let mut znodes: BTreeMap<String, Znode> =
            paths.into_iter().map(|(path, a)| (path.to_owned(), first(a))).collect();
        znodes.insert("/zookeeper/config".to_owned(), first(-1));
        Model { znodes, undo: None }
    }

    /// Every path, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.znodes.keys().map(String::as_str)
    }

    /// The names of a znode's children, sorted.
    fn children(&self, path: &str) -> Vec<&str> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let below = self.znodes.range(prefix.clone()..).map(|(path, _)| path.as_str());
        let below = below.take_while(|other| other.starts_with(&prefix));
        let names = below.map(|other| &other[prefix.len()..]);
        names.filter(|name| !name.is_empty() && !name.contains('/')).collect()
    }

    /// What clients are told of a znode.
    pub fn stat(&self, path: &str) -> Option<Stat> {
        let znode = self.znodes.get(path)?;
        let children = self.children(path).len() as i32;
        Some(Stat {
            czxid: znode.czxid,
            mzxid: znode.mzxid,
            ctime: znode.ctime,
            mtime: znode.mtime,
            version: znode.version,
            cversion: znode.creations.wrapping_mul(2).wrapping_sub(children),
            aversion: znode.aversion,
            ephemeral_owner: match znode.owner {
                Owner::Session(session) => session,
                _ => 0,
            },
            data_length: znode.data.as_ref().map_or(0, Vec::len) as i32,
            num_children: children,
            pzxid: znode.pzxid,
        })
    }

    /// The reply to a read, or its error. `None` for what is no read of the tree.
    pub fn read(&self, request: &Request) -> Option<Result<Reply, i32>> {
        let reply = match request {
            Request::GetData { path, .. } => {
                let path = read_path(path);
                self.znodes.get(path).map(|znode| {
                    Reply::Data(znode.data.clone(), self.stat(path).expect("it is there"))
                })
            }
            Request::Exists { path, .. } => self.stat(read_path(path)).map(Reply::Stat),
            Request::Children { path, with_stat, .. } => {
                let path = read_path(path);
                self.stat(path).map(|stat| {
                    let names = self.children(path).into_iter().map(str::to_owned).collect();
                    Reply::Children(names, with_stat.then_some(stat))
                })
            }
            _ => return None,
        };
        Some(reply.ok_or(code::NO_NODE))
    }

    /// What a write by `session` must do to this tree, one change for each operation of a multi;
    /// or the numbers of its errors, one for each.
    pub fn decide(
        &mut self,
        session: i64,
        request: &Request,
        when: When,
    ) -> Result<Vec<Change>, Vec<i32>> {
        let Request::Multi(parts) = request else {
            return self.decide_one(session, request).map(|c| vec![c]).map_err(|e| vec![e]);
        };
        let mut changes = Vec::new();
        self.undo = Some(Vec::new());
        let mut failed = None;
        for part in parts {
            match self.decide_one(session, part) {
                Ok(change) => {
                    self.apply(&change, when).expect("what was decided fits");
                    changes.push(change);
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        for (path, before) in self.undo.take().unwrap_or_default().into_iter().rev() {
            match before {
                Some(znode) => self.znodes.insert(path, znode),
                None => self.znodes.remove(&path),
            };
        }
        let Some(failed) = failed else { return Ok(changes) };
        let at = changes.len();
        let error = |i: usize| match i.cmp(&at) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => failed,
            std::cmp::Ordering::Greater => code::RUNTIME_INCONSISTENCY,
        };
        Err((0..parts.len()).map(error).collect())
    }

    fn decide_one(&self, session: i64, request: &Request) -> Result<Change, i32> {
        match request {
            Request::Create { path, data, flags, ttl_ms, .. } => {
                let owner = match flags {
                    0 | 2 => Owner::Nobody,
                    1 | 3 => Owner::Session(session),
                    4 => Owner::Container,
                    5 | 6 if (1..1 << 40).contains(ttl_ms) => Owner::Ttl(*ttl_ms),
                    _ => return Err(code::BAD_ARGUMENTS),
                };
                self.decide_create(path, data, owner, matches!(flags, 2 | 3 | 6))
            }
            Request::Delete { path, version } => self.decide_delete(path, *version),
            Request::SetData { path, data, version } => {
                let znode = self.lookup(path)?;
                let version = next_version(znode.version, *version)?;
                Ok(Change::SetData { path: path.clone(), data: data.clone(), version })
            }
            Request::SetAcl { path, version } => {
                let znode = self.lookup(path)?;
                let version = next_version(znode.aversion, *version)?;
                Ok(Change::SetAcl { path: path.clone(), version })
            }
            Request::Check { path, version } => {
                let znode = self.lookup(path)?;
                next_version(znode.version, *version)?;
                Ok(Change::Check { path: path.clone() })
            }
            Request::CloseSession => Ok(Change::CloseSession { paths: self.owned_by(session) }),
            _ => Err(code::BAD_ARGUMENTS),
        }
    }

    fn decide_create(
        &self,
        path: &str,
        data: &Option<Vec<u8>>,
        owner: Owner,
        is_sequential: bool,
    ) -> Result<Change, i32> {
        let parent_path = parent_of(path).ok_or(code::BAD_ARGUMENTS)?;
        let parent = self.znodes.get(parent_path).ok_or(code::NO_NODE)?;
        let path = match is_sequential {
            true => format!("{path}{:010}", parent.creations),
            false => path.to_owned(),
        };
        if !is_path(&path) {
            return Err(code::BAD_ARGUMENTS);
        }
        if self.znodes.contains_key(&path) {
            return Err(code::NODE_EXISTS);
        }
        if matches!(parent.owner, Owner::Session(_)) {
            return Err(code::NO_CHILDREN_FOR_EPHEMERALS);
        }
        let creations = parent.creations.wrapping_add(1);
        Ok(Change::Create { path, data: data.clone(), owner, creations })
    }

    fn decide_delete(&self, path: &str, version: i32) -> Result<Change, i32> {
        let parent = parent_of(path).ok_or(code::BAD_ARGUMENTS)?;
        if matches!(path, "/" | "/zookeeper" | "/zookeeper/quota" | "/zookeeper/config") {
            return Err(code::BAD_ARGUMENTS);
        }
        if !self.znodes.contains_key(parent) {
            return Err(code::NO_NODE);
        }
        let znode = self.znodes.get(path).ok_or(code::NO_NODE)?;
        next_version(znode.version, version)?;
        if !self.children(path).is_empty() {
            return Err(code::NOT_EMPTY);
        }
        Ok(Change::Delete { path: path.to_owned() })
    }

    fn lookup(&self, path: &str) -> Result<&Znode, i32> {
        if !is_path(path) {
            return Err(code::BAD_ARGUMENTS);
        }
        self.znodes.get(path).ok_or(code::NO_NODE)
    }

    /// The ephemerals of a session, sorted.
    pub fn owned_by(&self, session: i64) -> Vec<String> {
        let owned = self.znodes.iter().filter(|(_, z)| z.owner == Owner::Session(session));
        owned.map(|(path, _)| path.clone()).collect()
    }

    /// Does a change; tells which watches it fires, in order.
    ///
    /// # Errors
    ///
    /// The change does not fit this tree; then nothing is done.
    pub fn apply(&mut self, change: &Change, when: When) -> Result<Vec<Firing>, String> {
        match change {
            Change::Create { path, data, owner, creations } => {
                let parent = parent_of(path).filter(|parent| self.znodes.contains_key(*parent));
                let parent = parent.ok_or_else(|| format!("{path} has no parent"))?;
                if self.znodes.contains_key(path) {
                    return Err(format!("{path} is there already"));
                }
                self.change(parent, |znode| {
                    znode.creations = *creations;
                    znode.pzxid = when.zxid;
                });
                self.keep(path);
                self.znodes.insert(path.clone(), Znode::new(data, *owner, when));
                Ok(vec![firing(1, path), firing(4, parent)])
            }
            Change::Delete { path } => {
                if !self.znodes.contains_key(path) {
                    return Err(format!("{path} is not there"));
                }
                if !self.children(path).is_empty() {
                    return Err(format!("{path} has children"));
                }
                let parent = parent_of(path).ok_or_else(|| format!("{path} has no parent"))?;
                self.keep(path);
                self.znodes.remove(path);
                self.change(parent, |znode| znode.pzxid = when.zxid);
                Ok(vec![firing(2, path), firing(4, parent)])
            }
            Change::SetData { path, data, version } => {
                let is_there = self.change(path, |znode| {
                    znode.data.clone_from(data);
                    znode.version = *version;
                    znode.mzxid = when.zxid;
                    znode.mtime = when.wall_ms;
                });
                let fired = || vec![firing(3, path)];
                is_there.then(fired).ok_or_else(|| format!("{path} is not there"))
            }
            Change::SetAcl { path, version } => {
                let is_there = self.change(path, |znode| znode.aversion = *version);
                is_there.then(Vec::new).ok_or_else(|| format!("{path} is not there"))
            }
            Change::Check { .. } => Ok(Vec::new()),
            Change::CloseSession { paths } => {
                let mut fired = Vec::new();
                for path in paths {
                    fired.extend(self.apply(&Change::Delete { path: path.clone() }, when)?);
                }
                Ok(fired)
            }
        }
    }

    /// The reply to a write that has just done `change`.
    pub fn reply_to(&self, request: &Request, change: &Change) -> Reply {
        match (request, change) {
            (Request::Create { with_stat, flags, .. }, Change::Create { path, .. }) => {
                // createContainer and createTTL are answered with the stat, whatever was asked.
                if !with_stat && *flags < 4 {
                    return Reply::Path(path.clone());
                }
                let stat = self.stat(path).expect("just created");
                Reply::Created(Created { path: path.clone(), stat })
            }
            (_, Change::SetData { path, .. } | Change::SetAcl { path, .. }) => {
                Reply::Stat(self.stat(path).expect("just changed"))
            }
            _ => Reply::None,
        }
    }

    /// Changes a znode that is there; whether it is.
    fn change(&mut self, path: &str, with: impl FnOnce(&mut Znode)) -> bool {
        self.keep(path);
        self.znodes.get_mut(path).map(with).is_some()
    }

    fn keep(&mut self, path: &str) {
        if let Some(undo) = &mut self.undo {
            undo.push((path.to_owned(), self.znodes.get(path).cloned()));
        }
    }
}

impl Znode {
    fn new(data: &Option<Vec<u8>>, owner: Owner, when: When) -> Znode {
        Znode {
            data: data.clone(),
            czxid: when.zxid,
            mzxid: when.zxid,
            pzxid: when.zxid,
            ctime: when.wall_ms,
            mtime: when.wall_ms,
            version: 0,
            aversion: 0,
            creations: 0,
            owner,
        }
    }
}

/// The changes of a transaction, or its errors; `None` for what does not touch the tree.
pub fn changes_of(session: i64, txn: &Txn<'_>) -> Option<Result<Vec<Change>, Vec<i32>>> {
    match txn {
        Txn::CreateSession(_) | Txn::Reconfig(_) => None,
        Txn::Error(error) => Some(Err(vec![*error])),
        Txn::Multi(parts) => {
            let error = |part: &Txn<'_>| match part {
                Txn::Error(error) => Some(*error),
                _ => None,
            };
            if parts.iter().any(|part| error(part).is_some()) {
                return Some(Err(parts.iter().map(|part| error(part).unwrap_or(0)).collect()));
            }
            Some(Ok(parts.iter().map(|part| change_of(session, part)).collect()))
        }
        txn => Some(Ok(vec![change_of(session, txn)])),
    }
}

fn change_of(session: i64, txn: &Txn<'_>) -> Change {
    let data = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    match txn {
        Txn::Create(t) | Txn::Create2(t) => Change::Create {
            path: t.path.to_string(),
            data: data(t.data),
            owner: if t.ephemeral { Owner::Session(session) } else { Owner::Nobody },
            creations: t.parent_cversion,
        },
        Txn::CreateContainer(t) => Change::Create {
            path: t.path.to_string(),
            data: data(t.data),
            owner: Owner::Container,
            creations: t.parent_cversion,
        },
        Txn::CreateTtl(t) => Change::Create {
            path: t.path.to_string(),
            data: data(t.data),
            owner: Owner::Ttl(t.ttl_ms),
            creations: t.parent_cversion,
        },
        Txn::Delete(t) | Txn::DeleteContainer(t) => Change::Delete { path: t.path.to_string() },
        Txn::SetData(t) => {
            Change::SetData { path: t.path.to_string(), data: data(t.data), version: t.version }
        }
        Txn::SetAcl(t) => Change::SetAcl { path: t.path.to_string(), version: t.version },
        Txn::Check(t) => Change::Check { path: t.path.to_string() },
        Txn::CloseSession(paths) => {
            let paths = paths.iter().flatten().map(|path| path.to_string());
            Change::CloseSession { paths: sorted(paths.collect()) }
        }
        Txn::CreateSession(_) | Txn::Reconfig(_) | Txn::Error(_) | Txn::Multi(_) => {
            unreachable!("taken by changes_of, and no part of a multi")
        }
    }
}

/// The parts of a multi's reply that has failed.
pub fn failed_parts(errors: &[i32]) -> Reply {
    let part = |error: &i32| Part { error: *error, reply: Reply::None };
    Reply::Multi(errors.iter().map(part).collect())
}

fn sorted(mut paths: Vec<String>) -> Vec<String> {
    paths.sort_unstable();
    paths
}

fn firing(kind: i32, path: &str) -> Firing {
    Firing { kind, path: path.to_owned() }
}

/// An empty path is the root to reads.
fn read_path(path: &str) -> &str {
    if path.is_empty() {
        "/"
    } else {
        path
    }
}

/// The path up to its last slash; `None` for what no path to write can be.
fn parent_of(path: &str) -> Option<&str> {
    if path.contains('\0') {
        return None;
    }
    match path.rfind('/')? {
        0 => Some("/"),
        at => Some(&path[..at]),
    }
}

/// The version behind `found`, if `expected` is it or says "any".
fn next_version(found: i32, expected: i32) -> Result<i32, i32> {
    if expected != -1 && expected != found {
        return Err(code::BAD_VERSION);
    }
    Ok(found.wrapping_add(1))
}

/// Whether clients may use it: absolute, no empty or dotted part, no control or private character.
fn is_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let part = |part: &str| !matches!(part, "" | "." | "..");
    let is_private = |c: u32| matches!(c, 0xd800..=0xf8ff | 0xfff0..);
    let character = |c: char| !(c.is_control() || is_private(c as u32));
    rest.is_empty() || (rest.split('/').all(part) && rest.chars().all(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(path: &str, flags: i32) -> Request {
        let (path, data) = (path.to_owned(), Some(b"x".to_vec()));
        Request::Create { path, data, flags, ttl_ms: 5, with_stat: false }
    }

    fn run(model: &mut Model, session: i64, request: &Request, zxid: i64) -> Result<Reply, i32> {
        let when = When { zxid, wall_ms: zxid * 10 };
        let changes = model.decide(session, request, when).map_err(|errors| errors[0])?;
        let mut reply = Reply::None;
        for change in &changes {
            model.apply(change, when).expect("decided");
            reply = model.reply_to(request, change);
        }
        Ok(reply)
    }

    #[test]
    fn the_first_tree_looks_as_the_protocol_says() {
        let model = Model::new();
        let stat = |path| model.stat(path).expect("there from the start");
        assert_eq!((stat("/").cversion, stat("/").num_children), (-1, 1));
        assert_eq!((stat("/zookeeper").cversion, stat("/zookeeper").num_children), (-2, 2));
        assert_eq!(stat("/zookeeper/config").aversion, -1);
    }

    #[test]
    fn sequential_names_count_creations_and_not_children() {
        let mut model = Model::new();
        run(&mut model, 1, &create("/q", 0), 1).expect("free");
        run(&mut model, 1, &create("/q/plain", 0), 2).expect("free");
        let name = run(&mut model, 1, &create("/q/n-", 2), 3).expect("free");
        assert_eq!(name, Reply::Path("/q/n-0000000001".to_owned()));
        let delete = Request::Delete { path: "/q/n-0000000001".to_owned(), version: 0 };
        run(&mut model, 1, &delete, 4).expect("there");
        let name = run(&mut model, 1, &create("/q/", 3), 5).expect("free");
        assert_eq!(name, Reply::Path("/q/0000000002".to_owned()));
        let stat = model.stat("/q").expect("there");
        assert_eq!((stat.cversion, stat.num_children, stat.pzxid, stat.mzxid), (4, 2, 5, 1));
    }

    #[test]
    fn a_multi_that_fails_leaves_nothing() {
        let mut model = Model::new();
        let before = model.clone();
        let parts = vec![
            create("/a", 0),
            create("/a/b", 2),
            Request::Check { path: "/a".to_owned(), version: 3 },
            create("/c", 0),
        ];
        let when = When { zxid: 1, wall_ms: 1 };
        let errors = model.decide(1, &Request::Multi(parts), when).expect_err("version 0 it is");
        assert_eq!(errors, [0, 0, code::BAD_VERSION, code::RUNTIME_INCONSISTENCY]);
        assert_eq!(model, before);
    }

    #[test]
    fn errors_come_in_the_order_of_the_checks() {
        let mut model = Model::new();
        run(&mut model, 7, &create("/e", 1), 1).expect("free");
        let mut error = |request: &Request| run(&mut model, 7, request, 2).expect_err("refused");
        assert_eq!(error(&create("/e", 9)), code::BAD_ARGUMENTS);
        assert_eq!(error(&create("/e/x", 0)), code::NO_CHILDREN_FOR_EPHEMERALS);
        assert_eq!(error(&create("/nope/../x", 0)), code::NO_NODE);
        assert_eq!(error(&create("//x", 0)), code::BAD_ARGUMENTS);
        assert_eq!(error(&create("/", 0)), code::NODE_EXISTS);
        assert_eq!(error(&create("x", 0)), code::BAD_ARGUMENTS);
        let delete = |path: &str, version| Request::Delete { path: path.to_owned(), version };
        assert_eq!(error(&delete("/zookeeper", -1)), code::BAD_ARGUMENTS);
        assert_eq!(error(&delete("/e", 4)), code::BAD_VERSION);
    }

    #[test]
    fn a_session_takes_its_ephemerals_with_it() {
        let mut model = Model::new();
        run(&mut model, 7, &create("/mine", 1), 1).expect("free");
        run(&mut model, 8, &create("/others", 1), 2).expect("free");
        run(&mut model, 7, &Request::CloseSession, 3).expect("always");
        assert!(model.stat("/mine").is_none());
        assert_eq!(model.stat("/others").expect("there").ephemeral_owner, 8);
        assert_eq!(model.stat("/").expect("there").pzxid, 3);
    }
}
