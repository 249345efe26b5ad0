//! `make screenshots`: every screen by day and by night, empty and full, of a real server with real jobs, as pictures
//! in a folder. The best of them are in the README.

#![allow(clippy::expect_used, reason = "a tour ends by panicking when something is wrong")]

use std::path::{Path, PathBuf};

use clap::Parser;
use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{BUSYBOX, Deskgrid, Options, PYTHON, Raw, main_job, shell};
use serde_json::{Value, json};

/// The size of a window that nobody has resized.
const WINDOW: (u32, u32) = (1080, 720);
/// The smallest window.
const SMALL: (u32, u32) = (720, 480);
/// Screens that are there without a job.
const PLACES: [&str; 5] = ["queue", "cache", "sites", "settings", "start"];

/// Takes pictures of every screen
#[derive(Debug, Parser)]
struct Cli {
    /// Folder to put them into
    #[arg(default_value = "target/screenshots")]
    folder: PathBuf,
}

#[tokio::main]
async fn main() {
    let Cli { folder } = Cli::parse();
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    signed_out(&folder).await;
    empty(&folder).await;
    without_engine(&folder).await;
    full(&folder).await;
    println!("The pictures are in {}", folder.display());
}

async fn signed_out(folder: &Path) {
    let server = Deskgrid::start().await;
    let page = deskgrid_tests::browser::Browser::open(&server.url("/dashboard/")).await;
    let mut dashboard = Dashboard { page, door: deskgrid_tests::Door::of(&server.data()), server };
    dashboard.sees("sign-in").await;
    take(&mut dashboard, folder, "signed-out").await;
}

async fn empty(folder: &Path) {
    let mut dashboard = Dashboard::open().await;
    for place in PLACES {
        dashboard.goes_to(place).await;
        take(&mut dashboard, folder, &format!("{place}-empty")).await;
    }
    dashboard.goes_to("queue").await;
    dashboard.clicks("server-stop").await;
    take(&mut dashboard, folder, "stop").await;
    dashboard.clicks("question-stop").await;
    dashboard.sees("banner-offline").await;
    take(&mut dashboard, folder, "stopped").await;
    dashboard.door.post("/api/desk/start", &Value::Null).await;
    dashboard.misses("banner-offline").await;
    dashboard.server.kill().await;
    dashboard.sees("banner-offline").await;
    take_page(&mut dashboard.page, folder, "offline").await;
    dashboard.goes_to("cache").await;
    dashboard.sees("failed").await;
    take_page(&mut dashboard.page, folder, "cache-failed").await;
}

async fn without_engine(folder: &Path) {
    let mut dashboard = Dashboard::over(Deskgrid::start_without_engine().await).await;
    dashboard.server.submit(&shell("align --region north --reads /inputs/reads.fq")).await;
    for place in ["start", "queue"] {
        dashboard.goes_to(place).await;
        take(&mut dashboard, folder, &format!("{place}-no-engine")).await;
    }
}

async fn full(folder: &Path) {
    let args = vec!["--cpus".to_owned(), "2".to_owned()];
    let server = Deskgrid::start_with(Options { args, ..Options::default() }).await;
    let sample = sample(&server).await;
    let (mut page, data) = (deskgrid_tests::Page::open(&server, "local").await, main_job::data());
    let data = data.expect("the data set");
    let first = main_job::run(&server, &mut page, &main_job::clean(&data)).await;
    main_job::run(
        &server,
        &mut page,
        &main_job::summarise(&first["finished"]["result"]["outputs"]["clean/penguins.csv"]),
    )
    .await;
    for definition in large().into_iter().chain(finished()) {
        server.run(&definition).await;
    }
    server.put("survey-2026.parquet", vec![7; 9_000_000]).await;
    for origin in ["https://lab.example", "https://courses.example"] {
        Raw::new("GET", "/q/local").header("Origin", origin).send(&server).await;
    }
    let running = server.submit(&running()).await;
    server.submit(&shell("for i in $(seq 900); do echo \"sample $i of 900\"; sleep 1; done")).await;
    for region in ["north", "south", "west"] {
        server.submit(&shell(&format!("align --region {region} --reads /inputs/reads.fq"))).await;
    }
    server.until_said(&running, "epoch 30").await;
    let mut dashboard = Dashboard::over(server).await;
    for place in PLACES.into_iter().filter(|place| *place != "queue") {
        dashboard.goes_to(place).await;
        take(&mut dashboard, folder, place).await;
    }
    dashboard.goes_to(&format!("job/{running}")).await;
    take(&mut dashboard, folder, "job-running").await;
    dashboard.goes_to(&format!("job/{sample}")).await;
    take(&mut dashboard, folder, "job-plot").await;
    for tab in ["log", "files", "definition"] {
        dashboard.clicks(&format!("job-tab-{tab}")).await;
        take(&mut dashboard, folder, &format!("job-{tab}")).await;
    }
    dashboard.goes_to(&format!("job/{running}")).await;
    dashboard.clicks("job-tab-resources").await;
    take(&mut dashboard, folder, "job-resources").await;
    details(&mut dashboard, folder).await;
    for place in PLACES {
        dashboard.goes_to(place).await;
        take_in(&mut dashboard, folder, &format!("{place}-small"), SMALL).await;
    }
    dashboard.goes_to(&format!("job/{sample}")).await;
    take_in(&mut dashboard, folder, "job-small", SMALL).await;
}

/// What is seen by those who look closer.
async fn details(dashboard: &mut Dashboard, folder: &Path) {
    let jobs = dashboard.door.get("/api/jobs").await;
    let job = |is_it: &dyn Fn(&Value) -> bool| {
        let found = jobs["jobs"].as_array().expect("a list").iter().find(|row| is_it(row));
        found.and_then(|row| row["id"].as_str()).expect("it has ended").to_owned()
    };
    let failed = job(&|row| row["exitCode"] == 1);
    let unavailable = job(&|row| row["image"].as_str().is_some_and(|image| image.contains("missing")));
    let table = job(&|row| row["command"].as_str().is_some_and(|command| command.contains("sine.csv")));
    for (id, name) in [(failed, "job-failed"), (unavailable, "job-no-image")] {
        dashboard.goes_to(&format!("job/{id}")).await;
        dashboard.sees("job-failure").await;
        take(dashboard, folder, name).await;
    }
    dashboard.goes_to(&format!("job/{table}")).await;
    dashboard.sees("preview-table").await;
    take(dashboard, folder, "job-table").await;
    dashboard.clicks("table-as-plot").await;
    take(dashboard, folder, "job-quick-plot").await;
    dashboard.door.post("/api/sites/allow", &json!({"origin": "https://lab.example"})).await;
    dashboard.door.post("/api/sites/block", &json!({"origin": "https://courses.example"})).await;
    dashboard.goes_to("sites").await;
    dashboard.clicks("site-details").await;
    take(dashboard, folder, "sites-details").await;
    dashboard.goes_to("cache").await;
    dashboard.clicks("cache-prune").await;
    dashboard.clicks("prune-all").await;
    take(dashboard, folder, "cache-prune").await;
    dashboard.page.presses("Escape").await;
    dashboard.clicks("cache-delete").await;
    let table = "document.querySelector('[data-testid=\"cache-table\"]').scrollIntoView()";
    dashboard.value(table).await;
    take(dashboard, folder, "cache-table").await;
    dashboard.clicks("toast-action").await;
    // What has passed says so for some seconds, over a row.
    dashboard.clicks("toast-close").await;
    dashboard.misses("toast").await;
    // By now there is a minute of use to see. Who comes by the keyboard would have a row chosen.
    dashboard.page.clicks_with_the_mouse("nav-queue").await;
    dashboard.sees("screen-queue").await;
    dashboard.value("document.activeElement.blur()").await;
    take(dashboard, folder, "queue").await;
    dashboard.clicks("job-menu").await;
    take(dashboard, folder, "queue-menu").await;
    dashboard.page.presses("Escape").await;
    dashboard.goes_to("settings").await;
    dashboard.sees("group-advanced").await;
    let unfolded = "(() => { const group = document.querySelector('[data-testid=\"group-advanced\"]'); \
                    group.open = true; group.scrollIntoView(); })()";
    dashboard.value(unfolded).await;
    take(dashboard, folder, "settings-advanced").await;
}

async fn sample(server: &Deskgrid) -> String {
    let door = deskgrid_tests::Door::of(&server.data());
    let answer = door.post("/api/sample", &json!({"image": BUSYBOX})).await;
    let id = answer["jobId"].as_str().expect("an id").to_owned();
    server.finished(&id).await;
    id
}

/// Jobs that ended well and otherwise.
fn finished() -> Vec<Value> {
    let python = |code: &str| json!({"image": PYTHON, "command": format!("python3 -c {}", deskgrid_tests::quoted(code))});
    vec![
        python("import statistics; print(statistics.mean(range(1000)))"),
        python(
            "import math\nwith open('/outputs/sine.csv', 'w') as table:\n    \
             print('t,y', *(f'{t},{math.sin(t / 4):.3f}' for t in range(40)), sep='\\n', file=table)",
        ),
        python("raise SystemExit('The table has no column called mass')"),
        json!({"image": "localhost:1/lab/missing:2.1", "command": "true"}),
        json!({"image": BUSYBOX, "command": "sleep 100", "maxDuration": "1s"}),
    ]
}

/// Jobs that leave something of each kind that the cache shows.
fn large() -> Vec<Value> {
    let dockerfile = format!("FROM {BUSYBOX}\nRUN head -c 24000000 /dev/urandom > /model.bin");
    let writes = |name: &str, script: &str| {
        json!({"image": BUSYBOX, "command": format!("sh /inputs/{name}.sh"),
               "inputs": {format!("{name}.sh"): {"value": script}}})
    };
    vec![
        writes("embed", "head -c 31000000 /dev/urandom > /outputs/embeddings.bin"),
        writes("tiles", "head -c 18000000 /dev/urandom > /outputs/tiles.zip"),
        writes("install", "head -c 12500000 /dev/urandom > /job-cache/wheels.tar"),
        writes("contacts", "head -c 6200000 /dev/urandom > /outputs/contacts.npz"),
        writes("trace", "seq 200000"),
        json!({"build": {"dockerfile": dockerfile}, "command": "ls -l /model.bin"}),
    ]
}

/// A job with something to see while it runs.
fn running() -> Value {
    let code = "import time, math\n\
                for epoch in range(1, 1000):\n    \
                    loss = math.exp(-epoch / 9) + 0.02 * math.sin(epoch)\n    \
                    print(f'\\033[36mepoch {epoch}\\033[0m  loss \\033[33m{loss:.4f}\\033[0m', flush=True)\n    \
                    end = time.time() + 0.3\n    \
                    data = bytearray(20_000_000)\n    \
                    while time.time() < end: pass\n    \
                    time.sleep(0.2)";
    json!({"image": PYTHON, "command": format!("python3 -c {}", deskgrid_tests::quoted(code))})
}

async fn take(dashboard: &mut Dashboard, folder: &Path, name: &str) {
    take_in(dashboard, folder, name, WINDOW).await;
}

async fn take_in(dashboard: &mut Dashboard, folder: &Path, name: &str, size: (u32, u32)) {
    dashboard.misses("loading").await;
    take_page_in(&mut dashboard.page, folder, name, size).await;
}

async fn take_page(page: &mut deskgrid_tests::browser::Browser, folder: &Path, name: &str) {
    take_page_in(page, folder, name, WINDOW).await;
}

async fn take_page_in(
    page: &mut deskgrid_tests::browser::Browser,
    folder: &Path,
    name: &str,
    (width, height): (u32, u32),
) {
    // What is still being fetched or drawn is there by then.
    page.looks(false, width, height).await;
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    for (is_dark, ending) in [(false, "light"), (true, "dark")] {
        page.looks(is_dark, width, height).await;
        // Colours go over into each other.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let file = folder.join(format!("{name}-{ending}.png"));
        std::fs::write(file, page.picture().await).expect("the picture can be written");
    }
}
