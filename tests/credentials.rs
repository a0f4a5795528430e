//! Every source of the standard credential chain, really used: against loopback servers, in a child process of this very
//! binary with an environment of its own, up to the signature that arrives at the endpoint.
//!
//! Owns nothing but these tests. Does not look into the SDK: what counts is the key id that Lightsail would see.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use portward::lightsail::aws::{Aws, ConnectionSettings, default_region};
use portward::lightsail::{ErrorKind, Reader};
use portward::model::InstanceId;
use stub::{StubRequest, StubResponse, StubServer};
use tempfile::TempDir;

#[expect(dead_code, reason = "shared with tests that need more of it")]
#[path = "../src/lightsail/aws/stub.rs"]
mod stub;

const SECRET: &str = "wJalrXUtnFEMIverysecret";
const TOKEN: &str = "session-token-verysecret";
const EXPIRY: &str = "2099-01-01T00:00:00Z";

/// Not a test by itself: what the child processes run. It asks two regions and says how that went.
#[test]
fn child() {
    if std::env::var_os("PORTWARD_TEST_CHILD").is_none() {
        return;
    }
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let profile = std::env::var("PORTWARD_TEST_PROFILE").ok();
        let started = Instant::now();
        let role = std::env::var("PORTWARD_TEST_ROLE").ok();
        let aws = Aws::connect(ConnectionSettings {
            profile,
            role,
            ..ConnectionSettings::default()
        })
        .await
        .expect("no endpoint was given");
        for region in ["eu-central-1", "us-east-1"] {
            let id = InstanceId {
                account: None,
                region: region.into(),
                name: "web-1".into(),
            };
            if let Err(error) = aws.reader().port_states(&id).await {
                assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
                assert!(!error.is_outcome_unknown());
                assert!(
                    error
                        .hint()
                        .is_some_and(|hint| hint.contains("AWS_ACCESS_KEY_ID")),
                    "{error}"
                );
                tracing::info!("hint: {}", error.hint().unwrap_or_default());
                assert!(
                    started.elapsed() < Duration::from_secs(1),
                    "{:?}",
                    started.elapsed()
                );
                tracing::info!("without credentials: {error}");
                return;
            }
        }
        tracing::info!("default region {:?}", default_region(None).await);
    });
}

/// A home directory, a server, and what the child saw of them.
struct Case {
    home: TempDir,
    stub: StubServer,
    env: Vec<(String, String)>,
}

impl Case {
    /// Lightsail always answers; everything else is the business of `answer`.
    fn new(answer: impl Fn(&StubRequest) -> StubResponse + Send + Sync + 'static) -> Self {
        let stub = StubServer::serve(move |request| match request.header("x-amz-target") {
            target if target.starts_with("Lightsail") => {
                StubResponse::json(200, r#"{"portStates":[]}"#)
            }
            _ => answer(request),
        });
        let home = TempDir::new().expect("a temporary directory");
        let env = [
            ("PORTWARD_TEST_CHILD", "1"),
            ("HOME", home.path().to_str().expect("a path of text")),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("AWS_ENDPOINT_URL_LIGHTSAIL", &stub.url),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        let env = env
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        Self { home, stub, env }
    }

    fn without_server() -> Self {
        Self::new(|_| StubResponse::json(404, "{}"))
    }

    fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Sets a variable to the URL of the server and this path.
    fn env_url(self, name: &str, path: &str) -> Self {
        let url = format!("{}{path}", self.stub.url);
        self.env(name, url)
    }

    fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.home.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a directory");
        fs::write(path, text).expect("a file");
        self
    }

    /// Runs the child; what it wrote to its log.
    fn run(&self) -> String {
        let binary = std::env::current_exe().expect("this binary");
        let mut child = Command::new(binary);
        child
            .args(["--exact", "child", "--nocapture"])
            .env_clear()
            .envs(self.env.iter().cloned());
        let output = child.output().expect("the child ran");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{log}");
        for secret in [SECRET, TOKEN] {
            assert!(!log.contains(secret), "a secret in the log: {log}");
        }
        log
    }

    /// Runs the child, which must have signed both its calls with this key. Returns every other request.
    fn signs_with(&self, key: &str) -> Vec<StubRequest> {
        let log = self.run();
        let (calls, others): (Vec<_>, Vec<_>) = self
            .stub
            .requests()
            .into_iter()
            .partition(|r| r.header("x-amz-target").starts_with("Lightsail"));
        assert_eq!(calls.len(), 2, "{log}");
        for call in calls {
            let signature = call.header("authorization");
            assert!(
                signature.starts_with(&format!("AWS4-HMAC-SHA256 Credential={key}/")),
                "{signature}"
            );
        }
        others
    }
}

#[test]
fn credentials_from_the_environment() {
    let case = Case::without_server()
        .env("AWS_ACCESS_KEY_ID", "AKIAENV")
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_SESSION_TOKEN", TOKEN)
        .env("AWS_REGION", "eu-west-3");
    case.signs_with("AKIAENV");
    assert!(
        case.stub
            .requests()
            .iter()
            .all(|r| r.header("x-amz-security-token") == TOKEN)
    );
    assert!(case.run().contains(r#"default region Some("eu-west-3")"#));
}

#[test]
fn credentials_from_a_shared_profile() {
    let case = Case::without_server()
        .file(
            ".aws/config",
            "[profile work]\nregion = eu-north-1\n[default]\nregion = eu-west-1\n",
        )
        .file(
            ".aws/credentials",
            format!(
                "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = {SECRET}\n\
                 [work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = {SECRET}\n"
            ),
        );
    case.signs_with("AKIADEFAULT");
    let case = case.env("AWS_PROFILE", "work");
    assert!(case.run().contains(r#"default region Some("eu-north-1")"#));
    assert!(
        case.stub
            .requests()
            .iter()
            .any(|r| r.header("authorization").contains("AKIAWORK"))
    );
}

#[test]
fn explicit_profile_overrides_the_environment() {
    let case = Case::without_server()
        .env("AWS_ACCESS_KEY_ID", "AKIAENV")
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("PORTWARD_TEST_PROFILE", "work")
        .file(
            ".aws/credentials",
            format!("[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = {SECRET}\n"),
        );
    case.signs_with("AKIAWORK");
    let case = case.env("PORTWARD_TEST_PROFILE", "typo");
    let log = case.run();
    assert!(
        log.contains("without credentials: ") && log.contains("there is no profile `typo`"),
        "{log}"
    );
    assert!(
        log.contains("hint: the shared files have the profile `work`; "),
        "{log}"
    );
}

#[test]
fn credentials_from_sso() {
    let case = Case::new(|request| {
        assert!(request.line.starts_with("GET /federation/credentials?"), "{}", request.line);
        assert_eq!(request.header("x-amz-sso_bearer_token"), "cached");
        StubResponse::json(
            200,
            format!(
                r#"{{"roleCredentials":{{"accessKeyId":"ASIASSO","secretAccessKey":"{SECRET}",
                    "sessionToken":"{TOKEN}","expiration":4070908800000}}}}"#
            ),
        )
    })
    .env_url("AWS_ENDPOINT_URL_SSO", "")
    .file(
        ".aws/config",
        "[default]\nsso_session = test-session\nsso_account_id = 123456789012\nsso_role_name = firewall\n\
         [sso-session test-session]\nsso_region = eu-central-1\nsso_start_url = https://example.org/start\n",
    )
    // The SHA-1 of the session's name.
    .file(
        ".aws/sso/cache/70780fa17c57df49aa7c7f603fde6ea7a14148f2.json",
        format!(r#"{{"accessToken":"cached","expiresAt":"{EXPIRY}"}}"#),
    );
    assert_eq!(
        case.signs_with("ASIASSO").len(),
        1,
        "two regions share one lookup"
    );
}

fn sts_answers(action: &'static str, key: &'static str) -> impl Fn(&StubRequest) -> StubResponse {
    move |request| {
        assert!(
            request.body.contains(&format!("Action={action}&")),
            "{}",
            request.body
        );
        let body = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
             <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
             <SessionToken>{TOKEN}</SessionToken><Expiration>{EXPIRY}</Expiration></Credentials></{action}Result>\
             <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"
        );
        StubResponse::Http(200, vec![("content-type", "text/xml".to_owned())], body)
    }
}

#[test]
fn credentials_from_a_web_identity() {
    let case = Case::new(sts_answers("AssumeRoleWithWebIdentity", "ASIAWEB"))
        .file("token", "a.signed.token")
        .env_url("AWS_ENDPOINT_URL_STS", "")
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/firewall");
    let token = case
        .home
        .path()
        .join("token")
        .to_string_lossy()
        .into_owned();
    let requests = case
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token)
        .signs_with("ASIAWEB");
    assert_eq!(requests.len(), 1, "two regions share one lookup");
    assert!(requests[0].body.contains("WebIdentityToken=a.signed.token"));
}

#[test]
fn credentials_from_the_role_of_a_profile() {
    let case = Case::new(sts_answers("AssumeRole", "ASIAROLE")).env_url("AWS_ENDPOINT_URL_STS", "").file(
        ".aws/config",
        format!(
            "[default]\nrole_arn = arn:aws:iam::123456789012:role/firewall\nsource_profile = base\n\
             [profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = {SECRET}\n"
        ),
    );
    let requests = case.signs_with("ASIAROLE");
    assert!(
        requests[0]
            .header("authorization")
            .contains("Credential=AKIABASE/")
    );
}

/// A role that is assumed by this program itself, with base credentials of the chain: the session of the role signs.
fn assumes(case: Case) -> Vec<StubRequest> {
    case.env_url("AWS_ENDPOINT_URL_STS", "")
        .env(
            "PORTWARD_TEST_ROLE",
            "arn:aws:iam::123456789012:role/firewall",
        )
        .signs_with("ASIAROLE")
}

/// Both ways to a role, each under a key of its own; the session of the role that is named ends at this time.
fn both_roles(expiry: &'static str) -> impl Fn(&StubRequest) -> StubResponse {
    move |request| {
        let web = request.body.contains("Action=AssumeRoleWithWebIdentity&");
        let (action, key) = if web {
            ("AssumeRoleWithWebIdentity", "ASIAWEB")
        } else {
            ("AssumeRole", "ASIAROLE")
        };
        match sts_answers(action, key)(request) {
            StubResponse::Http(status, headers, body) => {
                let expiry = if web { EXPIRY } else { expiry };
                StubResponse::Http(status, headers, body.replace(EXPIRY, expiry))
            }
            other => other,
        }
    }
}

#[test]
fn account_role_is_assumed_with_environment_keys() {
    let case = Case::new(both_roles(EXPIRY))
        .env("AWS_ACCESS_KEY_ID", "AKIABASE")
        .env("AWS_SECRET_ACCESS_KEY", SECRET);
    let requests = assumes(case);
    assert_eq!(requests.len(), 1, "two regions share one session");
    let signature = requests[0].header("authorization");
    assert!(signature.contains("Credential=AKIABASE/"), "{signature}");
    assert!(requests[0].body.contains("RoleSessionName=portward"));
}

#[test]
fn account_role_is_assumed_with_a_web_identity() {
    let case = Case::new(both_roles(EXPIRY))
        .file("token", "a.signed.token")
        .env("AWS_ROLE_ARN", "arn:aws:iam::999999999999:role/ci");
    let token = case.home.path().join("token");
    let token = token.to_string_lossy().into_owned();
    let requests = assumes(case.env("AWS_WEB_IDENTITY_TOKEN_FILE", token));
    assert_eq!(requests.len(), 2, "a token for the base, and then the role");
    let signature = requests[1].header("authorization");
    assert!(signature.contains("Credential=ASIAWEB/"), "{signature}");
}

#[test]
fn role_session_is_renewed_when_it_expires() {
    let case = Case::new(both_roles("2020-01-01T00:00:00Z"))
        .env("AWS_ACCESS_KEY_ID", "AKIABASE")
        .env("AWS_SECRET_ACCESS_KEY", SECRET);
    let requests = assumes(case);
    assert_eq!(requests.len(), 2, "each call finds the session at its end");
}

#[test]
fn credentials_from_a_container() {
    let case = Case::new(|request| {
        assert_eq!(
            (request.line.as_str(), request.header("authorization")),
            ("GET /creds HTTP/1.1", "Basic abc")
        );
        StubResponse::json(200, metadata("ASIAECS"))
    })
    .env_url("AWS_CONTAINER_CREDENTIALS_FULL_URI", "/creds")
    .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc");
    assert_eq!(
        case.signs_with("ASIAECS").len(),
        1,
        "two regions share one lookup"
    );
}

#[test]
fn credentials_from_instance_metadata() {
    let case = Case::new(|request| {
        let path = request.line.trim_end_matches(" HTTP/1.1");
        let ttl = vec![("x-aws-ec2-metadata-token-ttl-seconds", "21600".to_owned())];
        if path == "PUT /latest/api/token" {
            return StubResponse::Http(200, ttl, "imds-token".to_owned());
        }
        assert_eq!(request.header("x-aws-ec2-metadata-token"), "imds-token");
        match path.trim_end_matches('/') {
            "GET /latest/meta-data/iam/security-credentials" => {
                StubResponse::Http(200, vec![], "my-role".to_owned())
            }
            "GET /latest/meta-data/iam/security-credentials/my-role" => {
                StubResponse::json(200, metadata("ASIAIMDS"))
            }
            _ => StubResponse::Http(404, vec![], String::new()),
        }
    })
    .env("AWS_EC2_METADATA_DISABLED", "false")
    .env_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
    case.signs_with("ASIAIMDS");
}

#[test]
fn refusing_metadata_service_gives_no_credentials() {
    let case = Case::new(|_| StubResponse::Http(403, vec![], String::new()))
        .env("AWS_EC2_METADATA_DISABLED", "false")
        .env_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
    let log = case.run();
    let said = log
        .lines()
        .find(|line| line.contains("without credentials: "));
    let said = said.unwrap_or_else(|| panic!("{log}"));
    assert!(said.ends_with("no usable credentials were found"), "{said}");
}

#[test]
fn profile_without_shared_files_is_the_reported_cause() {
    let log = Case::without_server()
        .env("PORTWARD_TEST_PROFILE", "typo")
        .run();
    assert!(
        log.contains("no usable credentials: no shared file has this profile"),
        "{log}"
    );
    assert!(
        log.contains("hint: the shared files have no profile; "),
        "{log}"
    );
}

fn metadata(key: &str) -> String {
    format!(
        r#"{{"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Type":"AWS-HMAC","AccessKeyId":"{key}",
            "SecretAccessKey":"{SECRET}","Token":"{TOKEN}","Expiration":"{EXPIRY}"}}"#
    )
}

#[test]
fn credentials_from_a_process() {
    let case = Case::without_server();
    let answer = case
        .home
        .path()
        .join("answer.json")
        .to_string_lossy()
        .into_owned();
    let case = case.file(".aws/config", format!("[default]\ncredential_process = cat {answer}\n")).file(
        "answer.json",
        format!(
            r#"{{"Version":1,"AccessKeyId":"ASIAPROC","SecretAccessKey":"{SECRET}","SessionToken":"{TOKEN}"}}"#
        ),
    );
    case.signs_with("ASIAPROC");
}

#[test]
fn missing_credentials_are_reported_at_once() {
    let case = Case::without_server();
    let log = case.run();
    assert!(
        log.contains(
            "without credentials: `GetInstancePortStates` for `eu-central-1/web-1` failed"
        ),
        "{log}"
    );
    assert!(
        log.contains("Environment: environment variable not set; Profile"),
        "{log}"
    );
    assert!(case.stub.requests().is_empty(), "nothing is sent unsigned");
}
