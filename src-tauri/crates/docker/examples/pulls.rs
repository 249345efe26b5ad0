//! temp
use deskgrid_docker::*;
#[tokio::main]
async fn main() {
    let w = EngineWatch::start(std::env::args().nth(1));
    let mut r = w.state();
    let e = r.wait_for(|s| s.ready().is_some()).await.unwrap().ready().unwrap().clone();
    for name in std::env::args().skip(2) {
        let (a, b) = tokio::join!(
            e.ensure_image(&name, None, |p| println!("A {p:?}")),
            e.ensure_image(&name, None, |p| println!("B {}", p.line))
        );
        match a {
            Ok(x) => println!("{x:?}"),
            Err(x) => println!("{} {x}", x.code()),
        }
        println!("{:?}", b.map(|_| ()).map_err(|e| e.code()));
    }
}
