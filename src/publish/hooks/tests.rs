//! Hooks with a server of their own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::template::{Around, Template};
use super::*;
use crate::event::{Report, SoundEvent};
use crate::publish::settings::{HookAct, HookOn, HookWhen, WebHook};
use crate::publish::wire::Line;

/// A hook that asks nobody.
pub fn hook() -> HookConfig {
    let web = WebHook {
        url: Template::parse("http://127.0.0.1:1/").unwrap(),
        method: "POST".to_owned(),
        headers: Vec::new(),
        body: None,
        attach: false,
        around: Around::Json,
        content_type: "application/json",
        ca_file: None,
        allow: Vec::new(),
    };
    HookConfig {
        name: "phone".to_owned(),
        on: HookOn::default(),
        when: HookWhen::Confirmed,
        min_score: 0.0,
        sources: Vec::new(),
        hours: Default::default(),
        cooldown: Duration::ZERO,
        act: HookAct::Web(web),
        secret_file: None,
        timeout: Duration::from_secs(5),
        bounds: queue::Bounds { queue: 100, at_once: 2, retries: 3 },
        clips: None,
    }
}

fn web(hook: &mut HookConfig) -> &mut WebHook {
    let HookAct::Web(web) = &mut hook.act else { panic!("it asks a server") };
    web
}

fn line() -> String {
    let event = SoundEvent { is_confirmed: true, ..SoundEvent::example(7, "Glass", "kitchen") };
    Line::report(7, "2026-11-29T03:12:09Z".parse().unwrap(), &Report::EventStart(event)).to_line()
}

fn read(mut stream: &TcpStream) -> String {
    let mut asked = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let n = stream.read(&mut piece).unwrap();
        asked.extend(&piece[..n]);
        let text = String::from_utf8_lossy(&asked).into_owned();
        let length =
            text.to_lowercase().split_once("content-length: ").and_then(|(_, rest)| rest.split_once('\r')?.0.parse().ok());
        if n == 0 || text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.len() >= length.unwrap_or(0)) {
            return text;
        }
    }
}

/// A server with these answers, one a connection; gives what it was asked.
fn server(answers: Vec<String>) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move |answer: String| {
        let (mut stream, _) = listener.accept().unwrap();
        let asked = read(&stream);
        stream.write_all(answer.as_bytes()).unwrap();
        asked
    };
    (port, std::thread::spawn(move || answers.into_iter().map(serve).collect()))
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn ask(hook: HookConfig) -> Answered {
    Runner::new(hook, "attic".into()).run(&line()).await
}

#[tokio::test]
async fn answers_are_judged() {
    for (head, body, tried, said) in [
        ("200 OK", "fine", Tried::Done, "the server answered 200 OK"),
        ("204 No Content", "", Tried::Done, "the server answered 204 No Content"),
        ("404 Not Found", "nobody here\nx", Tried::Refused, "the server answered 404 Not Found: nobody here"),
        ("500 Internal Server Error", "", Tried::Failed(None), "the server answered 500 Internal Server Error"),
        (
            "429 Too Many Requests\r\nretry-after: 7",
            "",
            Tried::Failed(Some(Duration::from_secs(7))),
            "the server answered 429 Too Many Requests",
        ),
        (
            "302 Found\r\nlocation: /b",
            "",
            Tried::Refused,
            "the server redirects with 302 Found to 127.0.0.1, by which the message would be lost; correct the url",
        ),
        (
            "307 Temporary Redirect\r\nlocation: ftp://a/",
            "",
            Tried::Refused,
            "the server redirects to ftp:, which is not followed",
        ),
    ] {
        let (port, asked) = server(vec![answer(head, body)]);
        let mut hook = hook();
        web(&mut hook).url = Template::parse(&format!("http://127.0.0.1:{port}/a/{{slug}}")).unwrap();
        let answered = ask(hook).await;
        assert_eq!(
            (answered.tried, answered.said.as_str(), answered.shown.as_str()),
            (tried, said, if head.starts_with('3') { "" } else { body })
        );
        let asked = asked.join().unwrap().concat();
        assert!(asked.starts_with("POST /a/glass HTTP/1.1\r\n") && asked.ends_with(line().trim_end()), "{asked}");
    }
    let nobody = ask(hook()).await;
    assert_eq!(
        (nobody.tried, nobody.said.as_str()),
        (Tried::Failed(None), "no connection to 127.0.0.1:1: Connection refused (os error 111)")
    );
}

#[tokio::test]
async fn no_redirect_leads_to_a_private_address_and_no_secret_to_another_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "geheim\n").unwrap();
    let moved = |to: String| answer(&format!("308 Permanent Redirect\r\nlocation: {to}"), "");
    // The same server, by the address that the configuration names.
    let (port, asked) = server(vec![moved("/second".to_owned()), answer("200 OK", "")]);
    let mut same = hook();
    web(&mut same).url = Template::parse(&format!("http://127.0.0.1:{port}/first")).unwrap();
    assert_eq!(ask(same).await.tried, Tried::Done);
    assert!(asked.join().unwrap()[1].starts_with("POST /second HTTP/1.1"));
    // Another one of this machine.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let other = listener.local_addr().unwrap();
    let (port, _asked) = server(vec![moved(format!("http://{other}/"))]);
    let mut elsewhere = hook();
    web(&mut elsewhere).url = Template::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    let answered = ask(elsewhere.clone()).await;
    assert_eq!(answered.tried, Tried::Failed(None));
    assert!(answered.said.starts_with("127.0.0.1 has only private addresses"), "{}", answered.said);
    assert!(listener.accept().is_err());
    // Where it is allowed, a secret does not go there all the same, nor into any sentence.
    let (port, _asked) = server(vec![moved(format!("http://{other}/"))]);
    elsewhere.secret_file = Some(file.clone());
    web(&mut elsewhere).allow = vec!["127.0.0.0/8".parse().unwrap()];
    web(&mut elsewhere).url = Template::parse(&format!("http://127.0.0.1:{port}/{{secret}}")).unwrap();
    let answered = ask(elsewhere.clone()).await;
    assert_eq!(
        (answered.tried, answered.said.as_str()),
        (Tried::Refused, "the server redirects to 127.0.0.1, which must not get the secret; correct the url if it is right")
    );
    assert!(listener.accept().is_err());
    let (port, asked) = server(vec![answer("400 Bad Request", "no bot geheim")]);
    web(&mut elsewhere).url = Template::parse(&format!("http://127.0.0.1:{port}/{{secret}}")).unwrap();
    assert_eq!(ask(elsewhere.clone()).await.said, "the server answered 400 Bad Request: no bot ***");
    assert!(asked.join().unwrap()[0].starts_with("POST /geheim HTTP/1.1"));
    elsewhere.secret_file = None;
    let answered = ask(elsewhere).await;
    assert_eq!(
        answered.said,
        "it has no secret: name its file under secret_file, or set $MIMID_HOOK_PHONE or systemd's credential hook_phone"
    );
}

#[tokio::test]
async fn a_server_that_never_answers_is_left_after_the_time_of_a_try() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut hook = HookConfig { timeout: Duration::from_millis(200), ..hook() };
    web(&mut hook).url = Template::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let answered = ask(hook).await;
    assert_eq!((answered.tried, answered.said.as_str()), (Tried::Failed(None), "the server did not answer within 0.2 s"));
}

#[tokio::test]
async fn a_try_that_panics_is_one_that_failed() {
    let config = hook();
    let stats = Arc::new(HookStats::new(&config.name));
    let mut queue = Queue::new(config.bounds);
    queue.push(line()).unwrap();
    let run = queue.take(std::time::Instant::now()).unwrap();
    let runner = Arc::new(Runner::new(config, "attic".into()));
    let mut hooks = Hooks {
        hooks: vec![Hook { runner, trigger: Trigger::default(), queue, stats: stats.clone() }],
        file: None,
        trying: JoinSet::new(),
        tried: HashMap::new(),
        sink: Arc::new(SinkStats::new("hooks")),
        zone: TimeZone::UTC,
    };
    let broken = hooks.trying.spawn(async { panic!("a fault") });
    hooks.tried.insert(broken.id(), (0, run.number));
    let ended = hooks.trying.join_next_with_id().await.unwrap();
    hooks.ended(ended);
    // It waits for the next try, and is under way no more.
    assert!(hooks.hooks[0].queue.waiting(1, run.number).is_some() && hooks.tried.is_empty());
    assert_eq!((stats.failed.load(Relaxed), stats.given_up.load(Relaxed)), (1, 0));
}
