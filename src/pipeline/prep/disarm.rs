//! What a learner hands on instead of a create that must not reach a leader of another kind.

use std::borrow::Cow;

use jute::multi::{MultiOp, MultiRequest};
use jute::proto::{CreateRequest, CreateTtlRequest};
use jute::{Decode, Encode, OpCode};

use super::create::{is_reserved, Mode};

/// A body with which every leader answers what this server's own leader would answer:
/// BadArguments. `None`: the request may be handed on as it is.
///
/// It is the same create, or multi, but without the text of its path. These are the creates of
/// `docs/COMPAT.md` W5 and W7.
pub fn disarm(op: OpCode, body: &[u8]) -> Option<Vec<u8>> {
    match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => {
            let path = std::str::from_utf8(path_of(body)?).ok()?;
            if !is_reserved(path) {
                return None;
            }
            let mut request = CreateRequest::from_bytes(body).ok()?;
            request.path = Some(Cow::Borrowed(""));
            Some(request.to_bytes())
        }
        OpCode::CreateTtl => {
            let mut request = CreateTtlRequest::from_bytes(body).ok()?;
            let has_no_life = Mode::from_flags(request.flags).is_some_and(|mode| !mode.is_ttl());
            if has_no_life {
                request.path = Some(Cow::Borrowed(""));
            }
            (has_no_life || take_path(&mut request.path)).then(|| request.to_bytes())
        }
        OpCode::Multi => {
            let mut multi = MultiRequest::from_bytes(body).ok()?;
            let mut is_changed = false;
            for op in &mut multi.ops {
                is_changed |= disarm_part(op);
            }
            is_changed.then(|| multi.to_bytes())
        }
        _ => None,
    }
}

/// The path at the front of a body.
fn path_of(body: &[u8]) -> Option<&[u8]> {
    let (len, rest) = body.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(i32::from_be_bytes(*len)).ok()?)
}

fn disarm_part(op: &mut MultiOp<'_>) -> bool {
    match op {
        MultiOp::Create(_, request) => take_path(&mut request.path),
        // In a multi its flags alone count, and the ttl of those that have none means nothing.
        MultiOp::CreateTtl(request) => take_path(&mut request.path),
        _ => false,
    }
}

fn take_path(path: &mut Option<Cow<'_, str>>) -> bool {
    let is_bad = path.as_deref().is_some_and(is_reserved);
    if is_bad {
        *path = Some(Cow::Borrowed(""));
    }
    is_bad
}

#[cfg(test)]
mod tests {
    use jute::Acl;

    use super::*;

    const QUOTA_OF_ALL: &str = "/zookeeper/quota/zookeeper_limits";

    fn create(path: &str) -> CreateRequest<'_> {
        let acl = Some(vec![Acl::open_unsafe()]);
        CreateRequest { path: Some(path.into()), data: Some(b"x"), acl, flags: 0 }
    }

    fn create_ttl(path: &str, flags: i32) -> CreateTtlRequest<'_> {
        let CreateRequest { path, data, acl, .. } = create(path);
        CreateTtlRequest { path, data, acl, flags, ttl_ms: -1 }
    }

    #[test]
    fn what_is_refused_here_is_refused_by_any_leader() {
        for op in [OpCode::Create, OpCode::Create2, OpCode::CreateContainer] {
            let body = disarm(op, &create(QUOTA_OF_ALL).to_bytes()).expect("W7");
            assert_eq!(CreateRequest::from_bytes(&body), Ok(create("")));
        }
        for flags in 0..=4 {
            let body = disarm(OpCode::CreateTtl, &create_ttl("/a", flags).to_bytes());
            let body = body.expect("W5");
            assert_eq!(CreateTtlRequest::from_bytes(&body), Ok(create_ttl("", flags)));
        }
    }

    #[test]
    fn a_multi_keeps_its_other_parts() {
        let good = MultiOp::Create(OpCode::Create, create("/a"));
        let parts = |path| {
            let create = MultiOp::Create(OpCode::Create2, create(path));
            let ttl = MultiOp::CreateTtl(create_ttl(path, 5));
            let plain = MultiOp::CreateTtl(create_ttl("/b", 0));
            MultiRequest { ops: vec![good.clone(), create, ttl, plain] }
        };
        let body = disarm(OpCode::Multi, &parts(QUOTA_OF_ALL).to_bytes()).expect("both");
        assert_eq!(MultiRequest::from_bytes(&body), Ok(parts("")));
    }

    #[test]
    fn all_else_goes_on_as_it_is() {
        assert_eq!(disarm(OpCode::Create, &create("/zookeeper/quota/a").to_bytes()), None);
        assert_eq!(disarm(OpCode::Create, &[0, 0, 0, 9, b'/']), None);
        assert_eq!(disarm(OpCode::CreateTtl, &create_ttl("/a", 5).to_bytes()), None);
        let multi = MultiRequest { ops: vec![MultiOp::Create(OpCode::Create, create("/a"))] };
        assert_eq!(disarm(OpCode::Multi, &multi.to_bytes()), None);
        assert_eq!(disarm(OpCode::SetData, &create(QUOTA_OF_ALL).to_bytes()), None);
    }
}
