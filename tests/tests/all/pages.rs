//! What web pages of several origins can do here, in a real browser: those that were allowed, those that nobody knows,
//! and those that lie about where they come from. What programs can do that imitate pages is proven in `sites`.

use deskgrid_tests::browser::{Browser, REBOUND};
use deskgrid_tests::{Deskgrid, deskgrid, eventually, log_text, sha256, shell, unique};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const PAGE: &str = include_str!("pages/page.html");
/// A picture of one dot.
const DOT: &[u8] =
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\
                     \x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;";

/// Somebody's web server with the same page everywhere. It stops listening when dropped.
struct Stage {
    port: u16,
    tasks: JoinSet<()>,
}

impl Stage {
    async fn open() -> Self {
        Self::open_on(0).await
    }

    async fn open_on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // A browser opens connections in advance and leaves them silent, so none may wait for another.
            let mut visits = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                visits.spawn(show(socket));
            }
        });
        Self { port, tasks }
    }

    /// The origin of its page under the name of `host`.
    fn origin(&self, host: &str) -> String {
        format!("http://{host}:{}", self.port)
    }

    /// The page under the name of `host`, loaded.
    async fn visit(&self, host: &str) -> Browser {
        let mut page = Browser::open(&self.origin(host)).await;
        page.until("document.readyState === 'complete' && typeof learns === 'function'").await;
        page
    }

    /// Stops listening, so that another program can have the port.
    async fn close(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn show(mut socket: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut socket).lines();
    while lines.next_line().await?.is_some_and(|line| !line.is_empty()) {}
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
    let answer = format!("{head}Content-Length: {}\r\n\r\n{PAGE}", PAGE.len());
    socket.write_all(answer.as_bytes()).await?;
    socket.shutdown().await
}

/// `deskgrid sites` with `words` for this server, as its owner runs it.
async fn sites(server: &Deskgrid, words: &[&str]) -> String {
    let (settings, data) = (server.settings(), server.data());
    let ours = ["--server", &server.address, "--config", settings.to_str().unwrap()];
    let place = ["--data-directory", data.to_str().unwrap()];
    let done = deskgrid(&[&["sites"], words, &ours, &place].concat()).await;
    assert_eq!(done.code, 0, "{done:?}");
    done.stdout
}

fn socket_of(server: &Deskgrid) -> Value {
    json!(server.url("/q/local/client").replacen("http", "ws", 1))
}

async fn queue(server: &Deskgrid) -> Value {
    server.get_json("/q/local").await
}

/// Waits until the page has tried `more` times since now to connect.
async fn keeps_trying(page: &mut Browser, more: u64) {
    let tries = page.run("tries").await.as_u64().unwrap();
    page.until(&format!("tries >= {}", tries + more)).await;
}

#[tokio::test]
async fn an_allowed_page_runs_a_job_over_its_socket_and_reads_its_output() {
    let (server, stage) = (Deskgrid::start().await, Stage::open().await);
    sites(&server, &["allow", &stage.origin("a.localhost")]).await;
    let mut page = stage.visit("a.localhost").await;
    page.run(&format!("keepConnected({})", socket_of(&server))).await;
    page.until("Boolean(window.socket)").await;
    let word = unique();
    let definition = shell(&format!("echo said {word}; echo kept {word} > /outputs/kept.txt"));
    page.run(&format!("runJob({}, {definition})", json!(word))).await;
    let address = json!(server.url(&format!("/j/{word}/result.json")));
    let job = page.run(&format!("fetch({address}).then(answer => answer.json())")).await["data"].take();
    assert_eq!(log_text(&job), format!("said {word}\n"), "{job:#}");
    let address = &job["finished"]["result"]["outputs"]["kept.txt"]["value"];
    assert_eq!(page.run(&format!("learns({address})")).await, format!("200 kept {word}\n"));
}

#[tokio::test]
async fn an_allowed_page_submits_and_asks_with_fetch() {
    let (server, stage) = (Deskgrid::start_without_engine().await, Stage::open().await);
    sites(&server, &["allow", &stage.origin("a.localhost")]).await;
    let mut page = stage.visit("a.localhost").await;
    let address = json!(server.url("/q/local"));
    let options = json!({"method": "POST", "headers": {"Content-Type": "application/json"},
        "body": json!({"id": "mine", "definition": {"image": "a"}}).to_string()});
    let answer = page.run(&format!("learns({address}, {options})")).await;
    assert!(answer.as_str().unwrap().starts_with("200 "), "{answer}");
    let listed = page.run(&format!("learns({address})")).await;
    assert!(listed.as_str().unwrap().contains("mine"), "{listed}");
}

#[tokio::test]
async fn an_unknown_page_waits_for_a_decision_and_recovers_by_itself_when_it_is_allowed() {
    let (server, stage) = (Deskgrid::start_without_engine().await, Stage::open().await);
    let (mine, other) = (stage.origin("a.localhost"), stage.origin("b.localhost"));
    let mut page = stage.visit("a.localhost").await;
    let mut neighbour = stage.visit("b.localhost").await;
    for page in [&mut page, &mut neighbour] {
        page.run("window.loaded = 'once'").await;
        page.run(&format!("keepConnected({})", socket_of(&server))).await;
        keeps_trying(page, 2).await;
        assert_eq!(page.run("Boolean(window.socket)").await, false);
    }
    let list = sites(&server, &["list"]).await;
    assert!([&mine, &other].iter().all(|site| list.contains(&format!("asks     {site}"))), "{list}");

    sites(&server, &["allow", &mine]).await;
    page.until("Boolean(window.socket)").await;
    assert_eq!(page.run("window.loaded").await, "once");
    let address = json!(server.url("/q/local"));
    let answer = page.run(&format!("learns({address})")).await;
    assert!(answer.as_str().unwrap().starts_with("200 "), "{answer}");

    keeps_trying(&mut neighbour, 2).await;
    assert_eq!(neighbour.run("Boolean(window.socket)").await, false);
    assert_eq!(neighbour.run(&format!("learns({address})")).await, "nothing");
}

#[tokio::test]
async fn a_blocked_page_stays_outside_however_often_it_tries_and_never_asks_again() {
    let (mut server, stage) = (Deskgrid::start_without_engine().await, Stage::open().await);
    let origin = stage.origin("a.localhost");
    let mut page = stage.visit("a.localhost").await;
    page.run(&format!("keepConnected({})", socket_of(&server))).await;
    eventually("the page asks", async || sites(&server, &["list"]).await.contains("asks     ")).await;
    sites(&server, &["block", &origin]).await;
    keeps_trying(&mut page, 3).await;
    server.terminate().await;
    server.start_again().await;
    keeps_trying(&mut page, 3).await;
    assert_eq!(page.run("Boolean(window.socket)").await, false);
    assert_eq!(page.run(&format!("learns({})", json!(server.url("/health")))).await, "nothing");
    let list = sites(&server, &["list"]).await;
    assert!(list.contains(&format!("blocked  {origin}")) && !list.contains("asks     "), "{list}");
}

/// The page comes from a server of its own on our port; then its host name leads to us, and the browser takes us for
/// that server.
#[tokio::test]
async fn a_page_whose_host_name_comes_to_point_at_us_is_refused() {
    let mut server = Deskgrid::start_without_engine().await;
    let hash = sha256(DOT);
    assert_eq!(server.put(&hash, DOT.into()).await, 200);
    server.terminate().await;
    let stage = Stage::open_on(server.port()).await;
    let mut page = stage.visit(REBOUND).await;
    stage.close().await;
    server.start_again().await;

    let before = queue(&server).await;
    let submission = json!({"definition": {"image": "a"}}).to_string();
    let plain = json!({"method": "POST", "body": submission});
    let proper =
        json!({"method": "POST", "body": submission, "headers": {"Content-Type": "application/json"}});
    let put = json!({"method": "PUT", "body": "mine"});
    for (path, options) in [
        ("/q/local", json!({})),
        ("/q/local", plain),
        ("/q/local", proper),
        ("/metrics", json!({})),
        ("/api/sites", json!({})),
        (&format!("/f/{hash}"), json!({})),
        ("/f/mine", put),
    ] {
        let answer = page.run(&format!("learns({}, {options})", json!(path))).await;
        let answer = answer.as_str().unwrap();
        assert!(answer.starts_with("403 ") && answer.contains("host-not-allowed"), "{path}: {answer}");
    }
    assert_eq!(page.run("opensSocket('/q/local/client')").await, "nothing");
    assert_eq!(page.run("hearsEvents('/j/x/stream')").await, "nothing");
    assert_eq!(queue(&server).await, before);
    assert!(!sites(&server, &["list"]).await.contains("asks     "));
}

#[tokio::test]
async fn requests_that_browsers_send_for_any_page_change_and_reveal_nothing() {
    let (server, stage) = (Deskgrid::start_without_engine().await, Stage::open().await);
    let id = server.submit(&json!({"image": "a"})).await;
    assert_eq!(server.put("named", DOT.into()).await, 200);
    let before = queue(&server).await;
    let mut page = stage.visit("b.localhost").await;
    let at = |path: &str| json!(server.url(path));
    let submission = json!({"definition": {"image": "b"}}).to_string();
    let send = |body: &Value| json!({"method": "POST", "mode": "no-cors", "body": body});
    // The second field of a form that a browser sends as plain text, cut so that the whole is JSON.
    let as_text = json!({"{\"definition\":{\"image\":\"b\"},\"x\":\"": "\"}"});
    let scripts = [
        format!("sendsForm({}, 'application/x-www-form-urlencoded', {as_text})", at("/q/local")),
        format!("sendsForm({}, 'text/plain', {as_text})", at("/q/local")),
        format!("sendsForm({}, 'text/plain', {as_text})", at(&format!("/q/local/j/{id}/cancel"))),
        format!("learns({}, {})", at("/q/local"), send(&json!(submission))),
        format!("learns({}, {})", at(&format!("/q/local/j/{id}/cancel")), send(&json!(""))),
        format!("learns({}, {})", at("/q/local"), json!({"mode": "no-cors"})),
        format!("learns({})", at("/q/local")),
        format!("learns({})", at(&format!("/j/{id}"))),
        format!("learns({})", at("/f/named")),
        format!("learns({}, {})", at("/f/named"), json!({"method": "PUT", "body": "other"})),
        format!("embeds('img', {{src: {}}})", at("/f/named")),
        format!("embeds('img', {{src: {}}})", at("/metrics")),
        format!("embeds('script', {{src: {}}})", at("/q/local")),
        format!("embeds('script', {{src: {}}})", at("/ui/job/job.js")),
        format!("embeds('link', {{rel: 'stylesheet', href: {}}})", at("/ui/job/job.css")),
        format!("hearsEvents({})", at(&format!("/q/local/j/{id}/stream"))),
        format!("opensSocket({})", socket_of(&server)),
    ];
    for script in &scripts {
        assert_eq!(page.run(script).await, "nothing", "{script}");
    }
    assert_eq!(queue(&server).await, before);
    assert_eq!(server.get("/f/named").await, (200, DOT.to_vec()));
    assert!(sites(&server, &["list"]).await.contains(&stage.origin("b.localhost")));

    // The same reaches the queue from a page that may, so that it is the decision which kept it out.
    sites(&server, &["allow", &stage.origin("b.localhost")]).await;
    page.run(&scripts[1]).await;
    assert_ne!(queue(&server).await, before);
}

#[tokio::test]
async fn any_page_reads_and_shows_a_file_whose_hash_it_knows() {
    let (server, stage) = (Deskgrid::start_without_engine().await, Stage::open().await);
    let (text, dot) = (sha256("kept"), sha256(DOT));
    assert_eq!(server.put(&text, "kept".into()).await, 200);
    assert_eq!(server.put(&dot, DOT.into()).await, 200);
    let id =
        server.submit(&json!({"image": "a", "inputs": {"a/b.txt": {"value": "kept", "type": "utf8"}}})).await;
    let mut page = stage.visit("b.localhost").await;
    let at = |path: &str| json!(server.url(path));
    for path in [format!("/f/{text}"), format!("/j/{id}/inputs/a/b.txt")] {
        assert_eq!(page.run(&format!("learns({})", at(&path))).await, "200 kept", "{path}");
        let with_cookies = json!({"credentials": "include"});
        assert_eq!(page.run(&format!("learns({}, {with_cookies})", at(&path))).await, "nothing", "{path}");
    }
    let image = format!("embeds('img', {{src: {}}})", at(&format!("/f/{dot}")));
    assert_eq!(page.run(&image).await, "something");
    assert!(!sites(&server, &["list"]).await.contains("asks     "));

    let exists = format!("learns({})", at(&format!("/f/{text}/exists")));
    assert_eq!(page.run(&exists).await, "nothing");
}

#[tokio::test]
async fn a_link_of_a_foreign_page_leads_to_our_pages_and_to_nothing_else() {
    let (server, stage) = (Deskgrid::start_without_engine().await, Stage::open().await);
    for (path, shown) in [("/metrics", "cross-site"), ("/q/local", "cross-site"), ("/", "Deskgrid runs here")]
    {
        let mut page = stage.visit("b.localhost").await;
        page.run(&format!("void (location.href = {})", json!(server.url(path)))).await;
        let arrived = format!("location.port === '{}' && document.readyState === 'complete'", server.port());
        page.until(&arrived).await;
        let text = page.text().await;
        assert!(text.contains(shown), "{path}: {text}");
    }
}

#[tokio::test]
async fn no_page_shows_ours_in_a_frame_even_an_allowed_one() {
    let (server, stage) = (Deskgrid::start_without_engine().await, Stage::open().await);
    let id = server.submit(&json!({"image": "a"})).await;
    sites(&server, &["allow", &stage.origin("a.localhost")]).await;
    // A page that lets itself be framed proves that frames are seen at all.
    let willing = format!("{}/", stage.origin("c.localhost"));
    for host in ["a.localhost", "b.localhost"] {
        let mut page = stage.visit(host).await;
        let ours = ["/", "/doctor", "/q/local", &format!("/j/{id}")].map(|path| server.url(path));
        for address in ours.iter().chain([&willing]) {
            page.run(&format!("embeds('iframe', {{src: {}}})", json!(address))).await;
        }
        let mut frames = page.foreign_frames().await;
        frames.retain(|frame| !frame.starts_with("chrome-error:"));
        assert_eq!(frames, [willing.as_str()], "{host}");
    }
}
