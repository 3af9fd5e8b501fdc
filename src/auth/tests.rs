//! The rules row by row, as seen on Apache 3.9.5.

use super::*;

const ME: &str = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=";

fn peer() -> IpAddr {
    IpAddr::from([10, 1, 2, 3])
}

fn digest(id: &str) -> Id<'static> {
    Id::new("digest", id.to_owned())
}

fn entry(perms: i32, scheme: &'static str, id: &'static str) -> Acl<'static> {
    Acl::new(perms, Id::new(scheme, id))
}

fn ids() -> Vec<Id<'static>> {
    vec![ip_identity(peer()), digest(ME)]
}

#[test]
fn a_list_is_asked_entry_by_entry() {
    let auth = Auth::default();
    let refused = Err(ErrorCode::NoAuth);
    for (acl, permission, result) in [
        (vec![], perms::WRITE, Ok(())),
        (vec![entry(31, "world", "anyone")], perms::ADMIN, Ok(())),
        (vec![entry(1, "world", "anyone")], perms::READ, Ok(())),
        (vec![entry(1, "world", "anyone")], perms::WRITE, refused),
        (vec![entry(1, "world", "anyone")], perms::READ | perms::ADMIN, Ok(())),
        (vec![entry(31, "world", "someone")], perms::READ, refused),
        (vec![entry(31, "digest", ME)], perms::DELETE, Ok(())),
        (vec![entry(30, "digest", ME)], perms::READ, refused),
        (vec![entry(31, "digest", "bob:x")], perms::READ, refused),
        (vec![entry(1, "world", "anyone"), entry(2, "digest", ME)], perms::WRITE, Ok(())),
        (vec![entry(31, "ip", "10.1.0.0/16")], perms::READ, Ok(())),
        (vec![entry(31, "ip", "10.2.0.0/16")], perms::READ, refused),
        (vec![entry(31, "sasl", ME)], perms::READ, refused),
        (vec![entry(0x7f, "digest", ME)], 0x40, Ok(())),
        (vec![entry(0, "world", "anyone")], perms::ALL, refused),
    ] {
        assert_eq!(auth.check(&acl, permission, &ids()), result, "{acl:?} {permission}");
    }
}

#[test]
fn super_and_skip_acl_open_everything() {
    let nobody = [entry(0, "world", "anyone")];
    let superuser = [Id::new("super", "")];
    assert_eq!(Auth::default().check(&nobody, perms::ALL, &superuser), Ok(()));
    assert_eq!(Auth::new(true, vec![]).check(&nobody, perms::ALL, &[]), Ok(()));
    assert!(!Auth::default().may_read(&nobody, &ids()));
}

#[test]
fn lists_are_fixed_up() {
    let auth = Auth::default();
    let anyone = || entry(31, "world", "anyone");
    let invalid = Err(ErrorCode::InvalidAcl);
    for (acl, result) in [
        (vec![], invalid.clone()),
        (vec![anyone()], Ok(vec![anyone()])),
        (vec![anyone(), anyone()], Ok(vec![anyone()])),
        (
            vec![anyone(), entry(1, "world", "anyone")],
            Ok(vec![anyone(), entry(1, "world", "anyone")]),
        ),
        (vec![entry(31, "world", "else")], invalid.clone()),
        (vec![entry(31, "auth", "whatever")], Ok(vec![entry(31, "digest", ME)])),
        (vec![entry(1, "auth", ""), anyone()], Ok(vec![entry(1, "digest", ME), anyone()])),
        (vec![entry(31, "digest", "u:h")], Ok(vec![entry(31, "digest", "u:h")])),
        (vec![entry(31, "digest", "u")], invalid.clone()),
        (vec![entry(31, "ip", "10.0.0.0/8")], Ok(vec![entry(31, "ip", "10.0.0.0/8")])),
        (vec![entry(31, "ip", "10.0.0.0/33")], invalid.clone()),
        (vec![entry(31, "super", "")], invalid.clone()),
        (vec![entry(31, "sasl", "bob")], invalid.clone()),
        (vec![entry(31, "ensemble", "x")], invalid.clone()),
        (vec![anyone(), entry(31, "nope", "")], invalid.clone()),
        (vec![entry(0x7f, "world", "anyone")], Ok(vec![entry(0x7f, "world", "anyone")])),
    ] {
        assert_eq!(auth.fix_up(Some(&acl), &ids()), result, "{acl:?}");
    }
    assert_eq!(auth.fix_up(None, &ids()), invalid);
    let nobody = [ip_identity(peer()), Id::new("super", "")];
    assert_eq!(auth.fix_up(Some(&[entry(31, "auth", "")]), &nobody), invalid);
}

#[test]
fn a_null_id_is_a_marshalling_error_but_for_auth() {
    let auth = Auth::default();
    let null = |perms, scheme: Option<&'static str>| {
        Acl::new(perms, Id { scheme: scheme.map(Into::into), id: None })
    };
    let marshalling = Err(ErrorCode::MarshallingError);
    let invalid = Err(ErrorCode::InvalidAcl);
    for (acl, result) in [
        (vec![null(31, Some("auth"))], Ok(vec![entry(31, "digest", ME)])),
        (vec![null(31, Some("digest"))], marshalling.clone()),
        (vec![null(31, Some("ip"))], marshalling.clone()),
        (vec![null(31, Some("world"))], marshalling.clone()),
        (vec![null(31, Some("nope"))], invalid.clone()),
        (vec![null(31, None)], invalid.clone()),
        // Found while looking for duplicates, which comes before everything else.
        (vec![null(31, Some("auth")), null(31, Some("auth"))], marshalling.clone()),
        (vec![entry(31, "world", "anyone"), null(31, None)], marshalling.clone()),
        (vec![entry(31, "world", "anyone"), null(1, None)], invalid),
    ] {
        assert_eq!(auth.fix_up(Some(&acl), &ids()), result, "{acl:?}");
    }
}

#[test]
fn digest_ids_have_two_parts() {
    for (id, valid) in [
        ("u:h", true),
        (":x", true),
        ("a:b:", true),
        ("u", false),
        ("u:", false),
        ("a:b:c", false),
        ("::x", false),
        (":", false),
        ("", false),
    ] {
        assert_eq!(Scheme::Digest(DigestScheme::default()).is_valid(id), valid, "{id:?}");
    }
}

#[test]
fn networks_in_lists() {
    for (listed, valid) in [
        ("10.0.0.1", true),
        ("10.0.0.1/0", true),
        ("10.0.0.1/32", true),
        ("10.0.0.1/33", false),
        ("10.0.0.1/-1", false),
        ("10.0.0.1/", false),
        ("10.0.0.1/8/8", false),
        ("10.0.0", false),
        ("10.0.0.0.0", false),
        ("10.0.0.256", false),
        ("localhost", false),
        ("", false),
        ("::", true),
        ("::1", true),
        ("1::", true),
        ("fe80::1/64", true),
        ("fe80::1/129", false),
        ("0:0:0:0:0:0:0:1", true),
        ("0:0:0:0:0:0:1", false),
        ("1:2:3:4:5:6:7::", true),
        ("1:2:3:4:5:6:7:8::", false),
        ("1::2::3", false),
        (":::", false),
        ("12345::", false),
        ("g::", false),
        ("::ffff:10.0.0.1", false),
        ("fe80::1%eth0", false),
    ] {
        assert_eq!(Scheme::Ip.is_valid(listed), valid, "{listed:?}");
    }
    for (caller, listed, matches) in [
        ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.4", "10.1.2.3", false),
        ("10.1.2.4", "10.1.2.0/24", true),
        ("10.1.3.4", "10.1.2.0/23", true),
        ("10.1.4.4", "10.1.2.0/23", false),
        ("1.2.3.4", "9.9.9.9/0", true),
        ("0:0:0:0:0:0:0:1", "::1", true),
        ("fe80:0:0:0:0:0:0:9", "fe80::/10", true),
        ("fec0:0:0:0:0:0:0:9", "fe80::/10", false),
        ("2001:db8:0:0:0:0:0:1", "::/0", true),
        ("10.1.2.3", "::/0", false),
        ("0:0:0:0:0:0:0:1", "0.0.0.0/0", false),
        ("fe80:0:0:0:0:0:0:1%eth0", "::/0", false),
        ("10.1.2.3", "nonsense", false),
    ] {
        assert_eq!(Scheme::Ip.matches(caller, listed), matches, "{caller} in {listed}");
    }
}

#[test]
fn addresses_in_javas_text() {
    for (ip, text) in [
        ("10.1.2.3", "10.1.2.3"),
        ("::1", "0:0:0:0:0:0:0:1"),
        ("2001:DB8::a:0", "2001:db8:0:0:0:0:a:0"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
    ] {
        assert_eq!(ip_identity(ip.parse().expect(ip)), Id::new("ip", text));
    }
}

#[test]
fn credentials_become_identities() {
    let auth = Auth::default();
    for (credential, id) in [
        ("bob:pw", ME),
        ("super:test", "super:D/InIHSb7yEEbrWz8b9l71RjZJU="),
        ("", ":2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
        // The hash is over all of it, the user ends at the first colon.
        ("abc", "abc:qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
    ] {
        let outcome = auth.authenticate("digest", Some(credential.as_bytes()), peer());
        assert_eq!(outcome, AuthOutcome::Accepted(vec![digest(id)]), "{credential:?}");
    }
    assert_eq!(auth.authenticate("digest", None, peer()), AuthOutcome::Refused);
    assert_eq!(auth.authenticate("nope", Some(b"x"), peer()), AuthOutcome::Refused);
    assert_eq!(auth.authenticate("world", Some(b"anyone"), peer()), AuthOutcome::Refused);
    let ip = AuthOutcome::Accepted(vec![ip_identity(peer())]);
    assert_eq!(auth.authenticate("ip", None, peer()), ip);
    let off = Auth::new(false, vec![Scheme::Ip]);
    assert_eq!(off.authenticate("digest", Some(b"bob:pw"), peer()), AuthOutcome::Refused);
    assert!(!off.knows("digest"));
}

#[test]
fn the_super_digest_brings_super_too() {
    let digest_of = |algorithm, super_digest: &str| DigestScheme {
        algorithm,
        super_digest: Some(super_digest.to_owned()),
    };
    let sha1 = digest_of(DigestAlgorithm::Sha1, "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
    let both = vec![Id::new("super", ""), digest("super:D/InIHSb7yEEbrWz8b9l71RjZJU=")];
    assert_eq!(sha1.identities(b"super:test"), both);
    assert_eq!(sha1.identities(b"super:else").len(), 1);
    let id = "super:wjySwxg860UATFtciuZ1lpzrCHrPeov6SPu/ZD56uig=";
    let sha256 = digest_of(DigestAlgorithm::Sha256, id);
    assert_eq!(sha256.identities(b"super:test"), [Id::new("super", ""), digest(id)]);
}

#[test]
fn algorithms_by_javas_names() {
    for (name, bytes) in [
        ("SHA1", 20),
        ("sha-1", 20),
        ("SHA-224", 28),
        ("SHA-256", 32),
        ("SHA-384", 48),
        ("SHA-512", 64),
    ] {
        let algorithm: DigestAlgorithm = name.parse().expect(name);
        assert_eq!(algorithm.hash(b"x").len(), bytes);
    }
    assert_eq!("MD5".parse::<DigestAlgorithm>(), Err(UnknownAlgorithm("MD5".to_owned())));
}

#[test]
fn the_ensemble_scheme_sends_strangers_away() {
    let named = |names: &[&str]| {
        let names = names.iter().map(|name| name.to_string());
        Auth::new(false, vec![Scheme::Ensemble(EnsembleScheme::new(Some(names)))])
    };
    let any = Auth::new(false, vec![Scheme::Ensemble(EnsembleScheme::default())]);
    let welcome = AuthOutcome::Accepted(vec![]);
    for (auth, data, outcome) in [
        (&named(&["a", "b"]), Some(&b"a"[..]), AuthOutcome::RightEnsemble),
        (&named(&["a", "b"]), Some(b"c"), AuthOutcome::TryAnotherServer),
        (&named(&["a", "b"]), Some(b""), welcome.clone()),
        (&named(&["a", "b"]), None, welcome.clone()),
        (&any, Some(b"c"), welcome),
        (&Auth::default(), Some(b"a"), AuthOutcome::Refused),
    ] {
        assert_eq!(auth.authenticate("ensemble", data, peer()), outcome, "{data:?}");
    }
}

#[test]
fn digests_are_shown_to_admins_only() {
    let acl = [
        entry(31, "digest", ME),
        entry(31, "digest", ":x:y"),
        entry(1, "ip", "::1"),
        entry(1, "world", "anyone"),
    ];
    let shown = [
        entry(31, "digest", "bob:x"),
        entry(31, "digest", ":x"),
        entry(1, "ip", "::1"),
        entry(1, "world", "anyone"),
    ];
    assert_eq!(redact(&acl), shown);
}

#[test]
fn who_am_i_tells_users() {
    let ids = [ip_identity(peer()), digest(ME), Id::new("super", ""), Id::new("sasl", "bob")];
    let told = [("ip", "10.1.2.3"), ("digest", "bob"), ("super", ""), ("sasl", "")];
    let told: Vec<_> = told.map(|(s, u)| (s.to_owned(), u.to_owned())).into();
    assert_eq!(Auth::default().client_infos(&ids), told);
}
