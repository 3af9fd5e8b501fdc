//! A server from its start to its end.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{signal, Signal, SignalKind};

use super::backstage::Backstage;
use super::dirs;
use super::driver::{Driver, DriverError};
use super::ensemble::MemberOptions;
use super::exit::{ExitCode, Failure};
use super::member::{Member, MemberFiles};
use super::options::{Purge, ServerOptions};
use super::peer_files::PeerSockets;
use super::purge_task::{FilesLock, PurgeTask};
use super::recover;
use super::snapshots::{SnapshotForm, Snapshots, System};
use super::words::LiveWords;
use crate::admin::{environment, Conf, Whitelist};
use crate::auth::Auth;
use crate::disk::{DirectoryLock, RealDisk};
use crate::net::{self, Serving, SessionDesk, Shared, Words};
use crate::storage::Dirs;

type Pipeline = JoinHandle<Result<(), DriverError>>;
/// Why the server must end, said by whoever found out first.
pub(super) type LastWords = Arc<Mutex<Option<Failure>>>;
type Worker = JoinHandle<std::io::Result<()>>;

/// A running server.
pub struct Server {
    shared: Arc<Shared>,
    /// `None`: no client port is configured.
    listener: Option<TcpListener>,
    driver: Pipeline,
    workers: Vec<Worker>,
    signals: Signals,
    purge: Option<PurgeTask>,
    last_words: LastWords,
    _locks: Vec<DirectoryLock>,
}

impl Server {
    /// Recovers the data, starts the threads and listens. `open_port` is asked for the client
    /// port once the directories are known to be ours. Nothing is accepted before
    /// [`Server::run`].
    pub fn start(
        options: ServerOptions,
        auth: Auth,
        open_port: impl FnOnce() -> Result<Option<TcpListener>, Failure>,
    ) -> Result<Server, Failure> {
        let dirs = Dirs::new(&options.data_dir, options.data_log_dir.as_deref());
        dirs::prepare(&dirs, options.create_dirs)?;
        let locks = dirs::lock(&dirs)?;
        let listener = open_port()?;
        let recovered = recover::recover::<System>(&RealDisk, &dirs, &options)?;
        let snapshots = snapshots(&options, &dirs);
        // From here on a signal is an orderly end; before, it may just kill, for nothing has
        // been promised to anybody yet and a long recovery should not hold it up.
        let signals = Signals::catch()
            .map_err(|e| Failure::new(ExitCode::Unexpected, format!("can't catch signals: {e}")))?;
        let auth = Arc::new(auth);
        let sessions = Arc::new(SessionDesk::default());
        let client_port = listener.as_ref().and_then(port_of).map_or(-1, i32::from);
        let conf = Conf { client_port, ..options.conf.clone() };
        let backstage = Backstage { conf, sessions: Arc::clone(&sessions) };
        let words = words(options.words.clone(), backstage);
        let how = recovered.how.clone();
        let outside = (auth, words as Arc<dyn Words>, sessions);
        let mut driver = Driver::new(RealDisk, &dirs, &options, recovered, snapshots, outside);
        let shared = Arc::clone(&driver.shared);
        let last_words = Arc::new(Mutex::new(None));
        let files = MemberFiles::new(dirs.clone(), options.log, how);
        let purge = start_purge(options.purge, dirs, Arc::clone(&files.lock))?;
        driver.member = join(options.member, files, &shared, &last_words)?;
        let seed = options.tree.hash_seed;
        Ok(Server {
            driver: spawn_pipeline(driver)?,
            workers: spawn_workers(&shared, options.workers, seed)?,
            purge,
            shared,
            signals,
            listener,
            last_words,
            _locks: locks,
        })
    }

    /// Where clients connect.
    pub fn client_port(&self) -> Option<u16> {
        self.listener.as_ref().and_then(port_of)
    }

    /// Serves until a signal says stop, or until the log can't be written any more.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let Server { shared, listener, signals, driver, workers, purge, last_words, _locks } = self;
        let Signals { runtime, terminate, interrupt } = signals;
        let told = serve_until_told(&shared, listener, terminate, interrupt);
        let ended = runtime.block_on(told);
        // First the pipeline, so that whoever was promised an answer still gets it.
        shared.stop();
        drop(purge);
        let written = driver.join();
        shared.hang_up();
        for worker in workers {
            // A worker that panicked has said so.
            let _ = worker.join();
        }
        if let Some(failure) = last_words.lock().expect("nobody panics while holding it").take() {
            return Err(failure);
        }
        match (ended, written) {
            (Err(e), _) => Err(Failure::new(ExitCode::Unexpected, e.to_string())),
            (Ok(code), Ok(Ok(()))) => Ok(code),
            (_, Ok(Err(e))) => Err(Failure::new(
                ExitCode::Unexpected,
                format!("Severe unrecoverable error, from thread pipeline: {e}"),
            )),
            (_, Err(_)) => Err(Failure::new(ExitCode::Unexpected, "the pipeline panicked")),
        }
    }
}

fn start_purge(
    purge: Option<Purge>,
    dirs: Dirs,
    files: FilesLock,
) -> Result<Option<PurgeTask>, Failure> {
    purge
        .map(|purge| PurgeTask::start(dirs, purge, files))
        .transpose()
        .map_err(|e| Failure::new(ExitCode::Unexpected, format!("can't start the purge task: {e}")))
}

/// The main thread's runtime, and the signals that it waits for.
struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Signals> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let inside = runtime.enter();
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        drop(inside);
        Ok(Signals { runtime, terminate, interrupt })
    }
}

async fn serve_until_told(
    shared: &Arc<Shared>,
    listener: Option<TcpListener>,
    mut terminate: Signal,
    mut interrupt: Signal,
) -> std::io::Result<ExitCode> {
    let accepting = async {
        match listener {
            Some(listener) => net::accept(Arc::clone(shared), listener).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = accepting => ended.map(|()| ExitCode::Unexpected),
        _ = terminate.recv() => Ok(ExitCode::Terminated),
        _ = interrupt.recv() => Ok(ExitCode::Interrupted),
        () = stopped(shared) => Ok(ExitCode::Unexpected),
    }
}

fn port_of(listener: &TcpListener) -> Option<u16> {
    listener.local_addr().ok().map(|address| address.port())
}

/// The pipeline has come to its end by itself.
async fn stopped(shared: &Shared) {
    while !shared.is_stopping() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn spawn_pipeline(driver: Driver<System>) -> Result<Pipeline, Failure> {
    let shared = Arc::clone(&driver.shared);
    spawn("pipeline", move || {
        let ended = driver.run();
        shared.stop();
        ended
    })
}

fn spawn_workers(shared: &Arc<Shared>, count: usize, seed: u64) -> Result<Vec<Worker>, Failure> {
    let worker = |index| {
        let shared = Arc::clone(shared);
        spawn(&format!("worker-{index}"), move || net::run_worker(shared, index, seed))
    };
    (0..count).map(worker).collect()
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map_err(|e| Failure::new(ExitCode::Unexpected, format!("can't start thread {name}: {e}")))
}

/// A lone server serves from now on; a member begins to talk to the others.
fn join(
    member: Option<MemberOptions>,
    files: MemberFiles,
    shared: &Arc<Shared>,
    last_words: &LastWords,
) -> Result<Option<Member<PeerSockets>>, Failure> {
    match member {
        None => {
            shared.serve(Serving::Standalone, None);
            Ok(None)
        }
        Some(member) => Member::start(member, files, shared, Arc::clone(last_words)).map(Some),
    }
}

fn snapshots(options: &ServerOptions, dirs: &Dirs) -> Snapshots {
    Snapshots::new(SnapshotForm::new(options, dirs))
}

fn words(whitelist: Whitelist, backstage: Backstage) -> Arc<LiveWords> {
    tell_environment(&backstage);
    Arc::new(LiveWords::new(whitelist, backstage))
}

/// What `envi` shows, for whoever has only the log.
fn tell_environment(backstage: &Backstage) {
    for (key, value) in environment(&backstage.host()) {
        tracing::info!("Server environment:{key}={value}");
    }
}
