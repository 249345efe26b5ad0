use super::*;

const HASH: &str = "c192d3bb13c568ba5a947ec82ae913dcbe69d9eed2efb804340298d8d5d14d55";

fn rules() -> AccessRules {
    AccessRules {
        port: 8000,
        hosts: vec!["worker".into(), "box:9".into()],
        needs_token: false,
        trusts_unknown_programs: true,
    }
}

const MINE: Facts =
    Facts { is_open: false, verdict: Verdict::Unknown, peer: Peer::SameUser, proof: Proof::None };

/// The share, or the code of the refusal. The shipped pages and <https://mine.org> are allowed.
fn decided(method: &Method, path: &str, pairs: &[(&'static str, &str)]) -> Result<Share, String> {
    decided_with(&rules(), MINE, method, path, pairs)
}

fn decided_with(
    rules: &AccessRules,
    facts: Facts,
    method: &Method,
    path: &str,
    pairs: &[(&'static str, &str)],
) -> Result<Share, String> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in pairs {
        request = request.header(*name, *value);
    }
    if !pairs.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost:8000");
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    let sender = Sender::of(rules, &head.headers);
    let mine = Origin::of_browser("https://mine.org").unwrap();
    let verdict = match &sender {
        Sender::Page(origin) if facts.verdict == Verdict::Unknown => {
            deskgrid_sites::Sites::new(vec![], vec![mine]).verdict(origin)
        }
        _ => facts.verdict,
    };
    let is_open = is_read_by_hash(method, &head.headers, head.uri.path());
    decide(rules, &head, &sender, Facts { is_open, verdict, ..facts }).map_err(|refusal| match refusal {
        Refusal::Told(HttpError::Refused { code, .. }) => code.to_owned(),
        Refusal::Uninvited(_) => "uninvited".to_owned(),
        Refusal::NoToken => "no-token".to_owned(),
        Refusal::Told(other) => other.to_string(),
    })
}

fn host(host: &str) -> Result<Share, String> {
    decided(&Method::GET, "/", &[("host", host)])
}

fn refused(code: &str) -> Result<Share, String> {
    Err(code.to_owned())
}

#[test]
fn we_answer_to_the_names_of_this_computer_with_our_port_only() {
    for good in [
        "localhost:8000",
        "LOCALHOST:8000",
        "127.0.0.1:8000",
        "[::1]:8000",
        "worker:8000",
        "box:9",
        "box:8000",
    ] {
        if good != "box:8000" {
            assert_eq!(host(good), Ok(Share::Nobody), "{good}");
        }
    }
    for bad in ["localhost", "localhost:8001", "evil.org:8000", "localhost.evil.org:8000", "box:8000", "a b"]
    {
        assert_eq!(host(bad), refused("host-not-allowed"), "{bad}");
    }
}

#[test]
fn a_request_names_its_host_exactly_once() {
    let two = [("host", "localhost:8000"), ("host", "localhost:8000")];
    assert_eq!(decided(&Method::GET, "/", &two), refused("host-missing"));
    let none = check_host(&rules(), &Uri::from_static("/"), &HeaderMap::new());
    assert!(matches!(none, Err(Refusal::Told(error)) if error.to_string().contains("Host header")));
}

#[test]
fn a_foreign_host_in_the_request_line_counts_too() {
    assert_eq!(decided(&Method::GET, "http://evil.org/health", &[]), refused("host-not-allowed"));
    assert_eq!(decided(&Method::GET, "http://localhost:8000/health", &[]), Ok(Share::Nobody));
}

#[test]
fn allowed_origins_are_matched_exactly() {
    for good in
        ["https://container.mtfm.io", "https://mine.org", "http://localhost:8000", "http://[::1]:8000"]
    {
        let share = decided(&Method::POST, "/q/local", &[("origin", good)]);
        assert_eq!(share, Ok(Share::Page(good.parse().unwrap())), "{good}");
    }
    for unknown in [
        "http://container.mtfm.io",
        "https://container.mtfm.io.evil.org",
        "https://metapage.io:444",
        "https://evil.metapage.io",
        "http://localhost:3000",
        "https://localhost:8000",
    ] {
        let share = decided(&Method::GET, "/health", &[("origin", unknown)]);
        assert_eq!(share, refused("uninvited"), "{unknown}");
    }
    for nameless in ["null", "", "https://Metapage.io", "https://metapage.io/", "https://metapage.io:443"] {
        let share = decided(&Method::GET, "/health", &[("origin", nameless)]);
        assert_eq!(share, refused("origin-not-allowed"), "{nameless}");
    }
    let two = [("origin", "https://metapage.io"), ("origin", "https://evil.org")];
    assert_eq!(decided(&Method::GET, "/health", &two), refused("origin-not-allowed"));
}

#[test]
fn a_blocked_page_is_told_so_and_still_reads_by_hash() {
    let blocked = Facts { verdict: Verdict::Blocked, ..MINE };
    let get =
        |path: &str| decided_with(&rules(), blocked, &Method::GET, path, &[("origin", "https://mine.org")]);
    assert_eq!(get("/q/local"), refused("origin-blocked"));
    assert_eq!(get(&format!("/f/{HASH}")), Ok(Share::Anyone));
}

#[test]
fn other_users_are_refused_whatever_origin_they_name() {
    let other = Facts { peer: Peer::OtherUser, ..MINE };
    let get = |facts, path: &str, pairs: &[(&'static str, &str)]| {
        decided_with(&rules(), facts, &Method::GET, path, pairs)
    };
    for origin in ["https://mine.org", "http://localhost:8000", "https://metapage.io", "https://evil.org"] {
        assert_eq!(get(other, "/q/local", &[("origin", origin)]), refused("other-user"), "{origin}");
    }
    assert_eq!(get(other, "/", &[]), refused("other-user"));
    assert_eq!(get(other, &format!("/f/{HASH}"), &[]), Ok(Share::Anyone));
    assert_eq!(get(Facts { proof: Proof::Right, ..other }, "/q/local", &[]), Ok(Share::Nobody));
    assert_eq!(get(Facts { proof: Proof::Wrong, ..other }, "/q/local", &[]), refused("no-token"));
}

#[test]
fn a_setting_decides_about_programs_whose_user_nobody_can_tell() {
    let strict = AccessRules { trusts_unknown_programs: false, ..rules() };
    let unknown = Facts { peer: Peer::Unknown, ..MINE };
    let get = |rules: &AccessRules, facts, pairs: &[(&'static str, &str)]| {
        decided_with(rules, facts, &Method::GET, "/q/local", pairs)
    };
    assert_eq!(get(&rules(), unknown, &[]), Ok(Share::Nobody));
    assert_eq!(get(&strict, unknown, &[]), refused("unknown-user"));
    assert_eq!(get(&strict, unknown, &[("origin", "http://localhost:8000")]), refused("unknown-user"));
    assert_eq!(get(&strict, Facts { proof: Proof::Right, ..unknown }, &[]), Ok(Share::Nobody));
    let page = "https://mine.org";
    assert_eq!(get(&strict, unknown, &[("origin", page)]), Ok(Share::Page(page.parse().unwrap())));
}

#[test]
fn the_administration_takes_the_token_and_no_foreign_page() {
    let right = Facts { proof: Proof::Right, ..MINE };
    let get = |facts, pairs: &[(&'static str, &str)]| {
        decided_with(&rules(), facts, &Method::GET, "/api/sites", pairs)
    };
    let own = [("origin", "http://localhost:8000")];
    assert_eq!(get(MINE, &[]), refused("no-token"));
    assert_eq!(get(MINE, &own), refused("no-token"));
    assert_eq!(get(Facts { proof: Proof::Wrong, ..MINE }, &[]), refused("no-token"));
    assert_eq!(get(right, &[]), Ok(Share::Nobody));
    assert_eq!(get(right, &own), Ok(Share::Page(own[0].1.parse().unwrap())));
    for page in ["https://mine.org", "https://metapage.io", "https://evil.org", "null"] {
        assert_eq!(get(right, &[("origin", page)]), refused("no-pages"), "{page}");
    }
    assert_eq!(get(right, &[("sec-fetch-site", "cross-site")]), refused("cross-site"));
}

#[test]
fn where_others_can_reach_us_everything_needs_the_token() {
    let wide = AccessRules { needs_token: true, ..rules() };
    let get = |facts, path: &str, pairs: &[(&'static str, &str)]| {
        decided_with(&wide, facts, &Method::GET, path, pairs)
    };
    for path in ["/", "/health", "/q/local", &format!("/f/{HASH}")] {
        assert_eq!(get(MINE, path, &[]), refused("no-token"), "{path}");
        assert_eq!(get(MINE, path, &[("origin", "https://mine.org")]), refused("no-token"), "{path}");
        assert!(get(Facts { proof: Proof::Right, ..MINE }, path, &[]).is_ok(), "{path}");
    }
}

#[test]
fn any_origin_may_read_by_hash_and_do_nothing_else() {
    let evil = [("origin", "https://evil.org")];
    let paths =
        [format!("/f/{HASH}"), format!("/j/{HASH}/outputs/a/b.txt"), format!("/q/local/j/{HASH}/inputs/a")];
    for path in &paths {
        assert_eq!(decided(&Method::GET, path, &evil), Ok(Share::Anyone), "{path}");
        assert_eq!(decided(&Method::HEAD, path, &evil), Ok(Share::Anyone), "{path}");
        assert_eq!(decided(&Method::PUT, path, &evil), refused("uninvited"), "{path}");
    }
    for path in
        ["/f/name.json", "/j/abc/outputs/a", &format!("/f/{HASH}/exists"), &format!("/j/{HASH}/outputs")]
    {
        assert_eq!(decided(&Method::GET, path, &evil), refused("uninvited"), "{path}");
    }
}

#[test]
fn a_preflight_counts_as_the_request_it_announces() {
    let asks = |method| [("origin", "https://evil.org"), ("access-control-request-method", method)];
    let path = format!("/f/{HASH}");
    assert_eq!(decided(&Method::OPTIONS, &path, &asks("GET")), Ok(Share::Anyone));
    assert_eq!(decided(&Method::OPTIONS, &path, &asks("PUT")), refused("uninvited"));
}

#[test]
fn requests_that_other_sites_cause_without_an_origin_are_refused() {
    for site in ["cross-site", "same-site"] {
        let image = [("sec-fetch-site", site), ("sec-fetch-mode", "no-cors")];
        assert_eq!(decided(&Method::GET, "/q/local/status", &image), refused("cross-site"));
        assert_eq!(decided(&Method::GET, &format!("/f/{HASH}"), &image), Ok(Share::Anyone));
        let link = [("sec-fetch-site", site), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert_eq!(decided(&Method::GET, &format!("/j/{HASH}"), &link), Ok(Share::Nobody));
        assert_eq!(decided(&Method::GET, "/", &link), Ok(Share::Nobody));
        assert_eq!(decided(&Method::GET, "/metrics", &link), refused("cross-site"));
        assert_eq!(decided(&Method::POST, &format!("/j/{HASH}"), &link), refused("cross-site"));
    }
    assert_eq!(decided(&Method::POST, "/q/local", &[("sec-fetch-site", "same-origin")]), Ok(Share::Nobody));
}
