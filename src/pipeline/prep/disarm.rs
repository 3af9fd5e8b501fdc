//! What a learner hands on instead of a create that must not reach a leader of another kind.

use std::borrow::Cow;

use jute::multi::{MultiOp, MultiRequest};
use jute::{Decode, Encode};

use super::create::{is_reserved, Mode};
use super::multi::SubOp;
use super::Parsed;

/// A body with which every leader answers what this server's own leader would answer to `parsed`,
/// which was read from `body`: BadArguments. `None`: the request may be handed on as it is.
///
/// It is the same create, or multi, but without the text of its path. These are the creates of
/// `docs/COMPAT.md` W5 and W7.
pub(super) fn disarm(parsed: Parsed<'_>, body: &[u8]) -> Option<Vec<u8>> {
    match parsed {
        Parsed::Create(mut request) => take_path(&mut request.path).then(|| request.to_bytes()),
        Parsed::CreateTtl(mut request) => {
            let has_no_life = Mode::from_flags(request.flags).is_some_and(|mode| !mode.is_ttl());
            if has_no_life {
                request.path = Some(Cow::Borrowed(""));
            }
            (has_no_life || take_path(&mut request.path)).then(|| request.to_bytes())
        }
        // Its parts have been converted, and must go on as they came.
        Parsed::Multi(parts) if parts.iter().any(is_reserved_part) => {
            let mut multi = MultiRequest::from_bytes(body).ok()?;
            multi.ops.iter_mut().for_each(disarm_part);
            Some(multi.to_bytes())
        }
        _ => None,
    }
}

fn is_reserved_part(part: &SubOp<'_>) -> bool {
    let path = match part {
        SubOp::Create(_, request) => &request.path,
        SubOp::CreateTtl(request) => &request.path,
        SubOp::Other(_) => return false,
    };
    path.as_deref().is_some_and(is_reserved)
}

fn disarm_part(op: &mut MultiOp<'_>) {
    match op {
        MultiOp::Create(_, request) => _ = take_path(&mut request.path),
        // In a multi its flags alone count, and the ttl of those that have none means nothing.
        MultiOp::CreateTtl(request) => _ = take_path(&mut request.path),
        _ => {}
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
    use jute::proto::{CreateRequest, CreateTtlRequest};
    use jute::{Acl, OpCode};

    use super::super::check_body;
    use super::*;

    const QUOTA_OF_ALL: &str = "/zookeeper/quota/zookeeper_limits";

    fn disarmed(op: OpCode, body: &[u8]) -> Option<Vec<u8>> {
        check_body(op, body).ok().flatten()
    }

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
            let body = disarmed(op, &create(QUOTA_OF_ALL).to_bytes()).expect("W7");
            assert_eq!(CreateRequest::from_bytes(&body), Ok(create("")));
        }
        for flags in 0..=4 {
            let body = disarmed(OpCode::CreateTtl, &create_ttl("/a", flags).to_bytes());
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
        let body = disarmed(OpCode::Multi, &parts(QUOTA_OF_ALL).to_bytes()).expect("both");
        assert_eq!(MultiRequest::from_bytes(&body), Ok(parts("")));
    }

    #[test]
    fn all_else_goes_on_as_it_is() {
        assert_eq!(disarmed(OpCode::Create, &create("/zookeeper/quota/a").to_bytes()), None);
        assert_eq!(disarmed(OpCode::Create, &[0, 0, 0, 9, b'/']), None);
        assert_eq!(disarmed(OpCode::CreateTtl, &create_ttl("/a", 5).to_bytes()), None);
        let multi = MultiRequest { ops: vec![MultiOp::Create(OpCode::Create, create("/a"))] };
        assert_eq!(disarmed(OpCode::Multi, &multi.to_bytes()), None);
        assert_eq!(disarmed(OpCode::SetData, &create(QUOTA_OF_ALL).to_bytes()), None);
    }
}
