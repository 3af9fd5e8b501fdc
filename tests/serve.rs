//! The built program as its operator meets it: how it starts, what it says when it can't, how it
//! stops, and what is there after a restart. Everything is on loopback, in directories of its own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{kill_process, Pid, Signal};
use tempfile::TempDir;

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A server of its own directory, ended when dropped.
struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `oxkeeper` with `arguments` in `dir`. What it prints goes to a file there.
    fn spawn(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Server {
        let log = dir.join(format!("out-{}", free_port()));
        let out = std::fs::File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_oxkeeper"))
            .args(arguments)
            .envs(variables.iter().copied())
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Server { child, log }
    }

    /// Starts a server with these lines as its zoo.cfg.
    fn of_lines(dir: &Path, lines: &str) -> Server {
        std::fs::write(dir.join("zoo.cfg"), lines).unwrap();
        Server::spawn(dir, &["serve", "zoo.cfg"], &[])
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the server has said `words`.
    fn wait_for(&mut self, words: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.said().contains(words) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended with {ended:?}:\n{}", self.said());
            assert!(Instant::now() < until, "never said {words:?}:\n{}", self.said());
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "does not end:\n{}", self.said());
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn terminate(&mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.wait().code(), Some(143), "{}", self.said());
    }

    /// A start that must fail: code, and the line for the operator.
    fn refused(mut self) -> (i32, String) {
        let code = self.wait().code().expect("no signal ended it");
        let said = self.said();
        let lines: Vec<_> = said.lines().filter(|line| line.starts_with("oxkeeper: ")).collect();
        assert_eq!(lines.len(), 1, "{said}");
        assert!(said.contains(&format!("Exiting JVM with code {code}")), "{said}");
        (code, lines[0].to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, in most tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn lines(port: u16, more: &str) -> String {
    format!("dataDir=./data\nclientPort={port}\nclientPortAddress=127.0.0.1\n{more}")
}

/// A session, spoken by hand.
struct Client {
    socket: TcpStream,
    session: i64,
    password: Vec<u8>,
}

impl Client {
    fn open(port: u16) -> Client {
        Client::resume(port, 0, &[0; 16])
    }

    fn resume(port: u16, session: i64, password: &[u8]) -> Client {
        let mut socket = connect(port);
        let mut request = vec![0; 12];
        request.extend(20_000_i32.to_be_bytes());
        request.extend(session.to_be_bytes());
        put_bytes(&mut request, password);
        request.push(0);
        send(&mut socket, &request).unwrap();
        let reply = receive(&mut socket).unwrap();
        let session = i64::from_be_bytes(reply[8..16].try_into().unwrap());
        Client { socket, session, password: reply[20..36].to_vec() }
    }

    /// Answers the error code and what follows it.
    fn ask(&mut self, op: i32, body: &[u8]) -> std::io::Result<(i32, Vec<u8>)> {
        let mut request = 1_i32.to_be_bytes().to_vec();
        request.extend(op.to_be_bytes());
        request.extend(body);
        send(&mut self.socket, &request)?;
        let reply = receive(&mut self.socket)?;
        let error = i32::from_be_bytes(reply[12..16].try_into().unwrap());
        Ok((error, reply[16..].to_vec()))
    }

    /// create, for everybody; `flags` 1 is ephemeral.
    fn create(&mut self, path: &str, data: &[u8], flags: i32) -> std::io::Result<i32> {
        let mut body = vec![];
        put_bytes(&mut body, path.as_bytes());
        put_bytes(&mut body, data);
        body.extend(1_i32.to_be_bytes());
        body.extend(31_i32.to_be_bytes());
        put_bytes(&mut body, b"world");
        put_bytes(&mut body, b"anyone");
        body.extend(flags.to_be_bytes());
        Ok(self.ask(1, &body)?.0)
    }

    /// getData: the error code, and the data if there is none.
    fn data(&mut self, path: &str) -> (i32, Vec<u8>) {
        let mut body = vec![];
        put_bytes(&mut body, path.as_bytes());
        body.push(0);
        let (error, reply) = self.ask(4, &body).unwrap();
        if error != 0 {
            return (error, vec![]);
        }
        let len = i32::from_be_bytes(reply[..4].try_into().unwrap()) as usize;
        (0, reply[4..4 + len].to_vec())
    }
}

fn connect(port: u16) -> TcpStream {
    let until = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(socket) => {
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                return socket;
            }
            Err(e) => assert!(Instant::now() < until, "nobody listens on {port}: {e}"),
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend((bytes.len() as i32).to_be_bytes());
    to.extend(bytes);
}

fn send(socket: &mut TcpStream, frame: &[u8]) -> std::io::Result<()> {
    let mut bytes = vec![];
    put_bytes(&mut bytes, frame);
    socket.write_all(&bytes)
}

fn receive(socket: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut len = [0; 4];
    socket.read_exact(&mut len)?;
    let mut frame = vec![0; i32::from_be_bytes(len) as usize];
    socket.read_exact(&mut frame)?;
    Ok(frame)
}

fn four_letters(port: u16, word: &str) -> String {
    let mut socket = connect(port);
    socket.write_all(word.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_bad_configuration_ends_with_the_code_of_apache_and_names_the_line() {
    let dir = TempDir::new().unwrap();
    let table = [
        ("clientPort=2181\n", "zoo.cfg: dataDir is not set"),
        ("dataDir=./data\ntickTime=soon\n", "zoo.cfg:2: "),
        ("dataDir=./data\nclientPort=70000\n", "zoo.cfg:2: "),
        ("dataDir=./data\nclientPort=1\nclientPortAddress=no.such.invalid\n", "zoo.cfg:3: "),
    ];
    for (lines, begin) in table {
        let (code, line) = Server::of_lines(dir.path(), lines).refused();
        assert_eq!(code, 2, "{line}");
        assert!(line.starts_with(&format!("oxkeeper: {begin}")), "{line}");
    }
    let (code, line) = Server::spawn(dir.path(), &["serve", "nowhere.cfg"], &[]).refused();
    assert_eq!(code, 2);
    assert!(line.contains("nowhere.cfg file is missing"), "{line}");
}

#[test]
fn a_port_in_use_is_named_with_the_line_that_says_it() {
    let dir = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (code, line) = Server::of_lines(dir.path(), &lines(port, "")).refused();
    assert_eq!(code, 1);
    assert!(line.contains("zoo.cfg:2: ") && line.contains(&port.to_string()), "{line}");
    assert!(line.contains("write another clientPort"), "{line}");
}

#[test]
fn a_second_server_on_a_directory_is_refused() {
    let dir = TempDir::new().unwrap();
    let port = free_port();
    let mut first = Server::of_lines(dir.path(), &lines(port, ""));
    let _session = Client::open(port);
    let (code, line) = Server::of_lines(dir.path(), &lines(free_port(), "")).refused();
    assert_eq!(code, 3);
    assert!(line.contains("another server") && line.contains("data/version-2"), "{line}");
    first.terminate();
}

#[test]
fn a_directory_that_cannot_be_made_ends_with_3() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("data"), "a file").unwrap();
    let (code, line) = Server::of_lines(dir.path(), &lines(free_port(), "")).refused();
    assert_eq!(code, 3);
    assert!(line.contains("Unable to create data directory ./data/version-2"), "{line}");
    let missing = lines(free_port(), "datadir.autocreate=false\n").replace("./data", "./none");
    let (code, line) = Server::of_lines(dir.path(), &missing).refused();
    assert_eq!(code, 3);
    assert!(line.contains("Missing data directory ./none/version-2"), "{line}");
}

#[test]
fn directories_that_have_been_swapped_are_refused_in_apaches_words() {
    let dir = TempDir::new().unwrap();
    let port = free_port();
    let right = lines(port, "dataLogDir=./logs\n");
    let mut server = Server::of_lines(dir.path(), &right);
    Client::open(port).create("/a", b"", 0).unwrap();
    server.terminate();
    let swapped = format!("dataDir=./logs\ndataLogDir=./data\nclientPort={port}\n");
    let (code, line) = Server::of_lines(dir.path(), &swapped).refused();
    assert_eq!(code, 3);
    let words = "Log directory has snapshot files. Check if dataLogDir and dataDir configuration \
                 is correct.";
    assert!(line.contains(words), "{line}");
    let moved =
        right.replace("dataDir=./data", "dataDir=./logs").replace("LogDir=./logs", "LogDir=./new");
    let (code, line) = Server::of_lines(dir.path(), &moved).refused();
    assert_eq!(code, 3);
    assert!(line.contains("Snapshot directory has log files."), "{line}");
}

#[test]
fn a_server_without_a_port_runs_and_says_so() {
    let dir = TempDir::new().unwrap();
    let mut server = Server::of_lines(dir.path(), "dataDir=./data\n");
    server.wait_for("clientPort is not set");
    server.wait_for("Snapshot loaded");
    server.wait_for("Server environment:zookeeper.version=3.9.5");
    server.wait_for("PrepRequestProcessor (sid:0) started, reconfigEnabled=false");
    server.terminate();
}

#[test]
fn arguments_listen_everywhere_and_an_ipv4_client_is_seen_as_one() {
    let dir = TempDir::new().unwrap();
    let port = free_port();
    let variables = [("JVMFLAGS", "-Dzookeeper.4lw.commands.whitelist=*")];
    let arguments = ["serve", &port.to_string(), "./data"];
    let mut server = Server::spawn(dir.path(), &arguments, &variables);
    let client = Client::open(port);
    assert!(four_letters(port, "cons").starts_with(" /127.0.0.1:"));
    drop(client);
    server.wait_for(&format!("binding to port 0.0.0.0/0.0.0.0:{port}"));
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(130));
}

#[test]
fn a_restart_keeps_data_and_sessions() {
    let dir = TempDir::new().unwrap();
    let port = free_port();
    let mut server = Server::of_lines(dir.path(), &lines(port, ""));
    let mut client = Client::open(port);
    assert_eq!(client.create("/kept", b"data", 0).unwrap(), 0);
    assert_eq!(client.create("/mine", b"", 1).unwrap(), 0);
    server.terminate();
    drop(client.socket);
    let mut server = Server::of_lines(dir.path(), &lines(port, ""));
    let mut again = Client::resume(port, client.session, &client.password);
    assert_eq!(again.session, client.session);
    assert_eq!(again.data("/kept"), (0, b"data".to_vec()));
    assert_eq!(again.data("/mine").0, 0);
    server.terminate();
}

#[test]
fn a_raised_limit_holds_for_what_is_in_a_request_and_in_the_log_too() {
    let dir = TempDir::new().unwrap();
    let port = free_port();
    let data = vec![b'x'; 3_000_000];
    let flags = ("JVMFLAGS", "-Djute.maxbuffer=4194304");
    std::fs::write(dir.path().join("zoo.cfg"), lines(port, "")).unwrap();
    for create in [true, false] {
        let mut server = Server::spawn(dir.path(), &["serve", "zoo.cfg"], &[flags]);
        let mut client = Client::open(port);
        if create {
            assert_eq!(client.create("/large", &data, 0).unwrap(), 0);
        }
        assert!(client.data("/large") == (0, data.clone()), "not what was written");
        server.terminate();
    }
}

#[test]
fn a_signal_under_load_loses_nothing_that_was_answered() {
    let dir = TempDir::new().unwrap();
    let port = free_port();
    let mut server = Server::of_lines(dir.path(), &lines(port, ""));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let mut client = Client::open(port);
            std::thread::spawn(move || {
                let mut answered = 0;
                while client.create(&format!("/{writer}-{answered}"), b"", 0).is_ok_and(|e| e == 0)
                {
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    let mut watcher = Client::open(port);
    let until = Instant::now() + PATIENCE;
    while watcher.data("/0-20").0 != 0 {
        assert!(Instant::now() < until, "the writers don't get on");
    }
    server.terminate();
    let answered: Vec<i32> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    let mut server = Server::of_lines(dir.path(), &lines(port, ""));
    let mut client = Client::open(port);
    for (writer, answered) in answered.into_iter().enumerate() {
        for n in 0..answered {
            assert_eq!(client.data(&format!("/{writer}-{n}")).0, 0, "/{writer}-{n} of {answered}");
        }
    }
    server.terminate();
}

#[test]
fn throttled_clients_are_all_served_and_told_when_they_waited_too_long() {
    let create_by_many = |more: &str| -> Vec<i32> {
        let dir = TempDir::new().unwrap();
        let port = free_port();
        let throttle = "request_throttle_max_requests=1\n";
        let mut server = Server::of_lines(dir.path(), &lines(port, &format!("{throttle}{more}")));
        let clients = (0..6).map(|_| Client::open(port)).enumerate();
        let creators: Vec<_> = clients
            .map(|(n, mut client)| {
                std::thread::spawn(move || {
                    let create = |i| client.create(&format!("/{n}-{i}"), b"", 0).unwrap();
                    (0..20).map(create).collect::<Vec<i32>>()
                })
            })
            .collect();
        let answers = creators.into_iter().flat_map(|creator| creator.join().unwrap()).collect();
        server.terminate();
        answers
    };
    let patient = create_by_many("request_throttle_stall_time=1\n");
    assert!(patient.len() == 120 && patient.iter().all(|err| *err == 0), "{patient:?}");
    // -127: the request was not executed, the connection goes on.
    let hasty = create_by_many("request_throttle_stall_time=20\nthrottled_op_wait_time=1\n");
    assert!(hasty.len() == 120 && hasty.iter().all(|err| matches!(*err, 0 | -127)), "{hasty:?}");
}

#[test]
fn a_slow_sync_is_told_in_apaches_words_and_old_files_are_purged_at_start() {
    let dir = TempDir::new().unwrap();
    let port = free_port();
    let more = "fsync.warningthresholdms=-1\nautopurge.purgeInterval=1\nmaxBatchSize=1\n";
    let mut server = Server::of_lines(dir.path(), &lines(port, more));
    Client::open(port).create("/a", b"", 0).unwrap();
    server.wait_for("fsync-ing the write ahead log in SyncThread:0 took ");
    server.wait_for(
        "ms which will adversely effect operation latency.File size is 67108880 bytes. See the \
         ZooKeeper troubleshooting guide",
    );
    server.wait_for("Purge task started.");
    server.wait_for("Purge task completed.");
    server.terminate();
}

#[test]
fn what_quotas_and_ensemble_names_refuse_and_how_long_the_start_took_is_counted() {
    let dir = TempDir::new().unwrap();
    let port = free_port();
    let more = "4lw.commands.whitelist=mntr\nenforceQuota=true\nensembleAuthName=here\n\
                authProvider.1=org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider\n";
    let mut server = Server::of_lines(dir.path(), &lines(port, more));
    let mut client = Client::open(port);
    for (path, data) in [
        ("/app", ""),
        ("/zookeeper/quota/app", ""),
        (
            "/zookeeper/quota/app/zookeeper_limits",
            "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=1",
        ),
        ("/zookeeper/quota/app/zookeeper_stats", "count=1,bytes=0"),
    ] {
        assert_eq!(client.create(path, data.as_bytes(), 0).unwrap(), 0, "{path}");
    }
    assert_eq!(client.create("/app/more", b"", 0).unwrap(), -125);
    assert_eq!(client.create("/app/more", b"", 0).unwrap(), -125);
    let ensemble = |name: &str| {
        let mut body = vec![0; 4];
        put_bytes(&mut body, b"ensemble");
        put_bytes(&mut body, name.as_bytes());
        body
    };
    assert_eq!(client.ask(100, &ensemble("here")).unwrap().0, 0);
    assert_eq!(client.ask(100, &ensemble("")).unwrap().0, 0);
    assert!(client.ask(100, &ensemble("elsewhere")).is_err(), "sent to another server");
    let mntr = four_letters(port, "mntr");
    for line in [
        "zk_app_quota_exceeded_error_per_namespace\t2",
        "zk_ensemble_auth_success\t1",
        "zk_ensemble_auth_skip\t1",
        "zk_ensemble_auth_fail\t1",
        "zk_cnt_startup_snap_load_time\t1",
        "zk_cnt_startup_txns_load_time\t0",
    ] {
        assert!(mntr.lines().any(|said| said == line), "no {line:?} in:\n{mntr}");
    }
    server.terminate();
    let mut server = Server::of_lines(dir.path(), &lines(port, more));
    let mntr = four_letters(port, "mntr");
    assert!(mntr.contains("zk_cnt_startup_txns_load_time\t1\n"), "{mntr}");
    server.terminate();
}

/// The port of a first run is not ours to choose. One test at a time may care for it; whoever
/// else has it makes this test see the other half of what there is to see.
#[test]
fn a_first_run_serves_on_2181_until_ctrl_c_or_says_who_is_in_the_way() {
    const PORT: u16 = 2181;
    let lock = std::fs::File::open(std::env::temp_dir()).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();

    let dir = TempDir::new().unwrap();
    let held = TcpListener::bind(("0.0.0.0", PORT));
    let (code, line) = Server::spawn(dir.path(), &[], &[]).refused();
    assert_eq!(code, 1, "{line}");
    let words = "cannot listen on 0.0.0.0:2181: ";
    assert!(line.contains(words) && line.contains("oxkeeper serve PORT ./data"), "{line}");
    let Ok(held) = held else { return };

    drop(held);
    let mut server = Server::spawn(dir.path(), &[], &[]);
    server.wait_for("Ctrl-C stops it.");
    for hint in [
        "oxkeeper serves ZooKeeper clients on port 2181; its data is in ./data\n",
        "    echo srvr | nc localhost 2181\n",
        " bench --server localhost:2181 ",
        " serve PATH/zoo.cfg. ",
    ] {
        assert!(server.said().contains(hint), "no {hint:?} in:\n{}", server.said());
    }
    assert!(four_letters(PORT, "srvr").contains("Mode: standalone\n"));
    assert_eq!(Client::open(PORT).create("/first", b"", 0).unwrap(), 0);
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(130), "{}", server.said());
    assert!(dir.path().join("data/version-2/log.1").is_file());

    // What was written is there when it is run again.
    let mut server = Server::spawn(dir.path(), &[], &[]);
    assert_eq!(Client::open(PORT).data("/first").0, 0);
    server.terminate();
}

/// What `oxkeeper bench` reports as JSON of a load on the server at `port`.
fn bench(port: u16, arguments: &[&str]) -> String {
    let server = format!("127.0.0.1:{port}");
    let done = Command::new(env!("CARGO_BIN_EXE_oxkeeper"))
        .args(["bench", "--server", &server, "--format", "json", "--warm-up", "0"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn the_load_generator_counts_every_event_and_every_session_that_comes_back() {
    let dir = TempDir::new().unwrap();
    let port = free_port();
    let mut server = Server::of_lines(dir.path(), &lines(port, ""));
    connect(port);

    // One round: each of three sessions hears of each of four nodes.
    let told = bench(port, &["-o", "watch", "-c", "3", "--nodes", "4", "-f", "2", "-d", "0"]);
    assert!(told.contains("\"ops\":12,") && told.contains("\"errors\":{}"), "{told}");

    let told = bench(port, &["-o", "reconnect", "-c", "5"]);
    assert!(told.contains("\"ops\":5,") && told.contains("\"errors\":{}"), "{told}");

    // Created beside the data nodes; in slices, of which one at least has something.
    let crowd = ["-o", "create", "--crowd", "--nodes", "7", "--ops", "20", "--slices", "-c", "2"];
    let told = bench(port, &crowd);
    assert!(told.contains("\"ops\":20,") && told.contains("\"errors\":{}"), "{told}");
    assert!(told.contains("\"began_unix\":") && told.contains("\"slices\":[["), "{told}");

    let mut left = b"\0\0\0\x01/".to_vec();
    left.push(0);
    let (error, names) = Client::open(port).ask(8, &left).unwrap();
    assert_eq!((error, &names[..4]), (0, &1_i32.to_be_bytes()[..]), "only /zookeeper is left");
    server.terminate();
}

#[test]
fn a_bare_server_answers_the_load_of_a_real_one() {
    let dir = TempDir::new().unwrap();
    for more in [&[][..], &["--sync", "."]] {
        let arguments = [&["bench-limit", "echo"], more].concat();
        let mut limit = Server::spawn(dir.path(), &arguments, &[]);
        limit.wait_for("\n");
        let port = limit.said().trim_end().rsplit(':').next().unwrap().parse().unwrap();
        for operation in ["get", "set", "mixed", "multi", "children", "session"] {
            let told = bench(port, &["-o", operation, "-c", "2", "-f", "3", "--ops", "100"]);
            assert!(told.contains("\"ops\":100,") && told.contains("\"errors\":{}"), "{told}");
        }
    }
}
