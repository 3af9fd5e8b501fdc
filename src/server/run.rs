//! A standalone server from its start to its end.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{signal, Signal, SignalKind};

use super::backstage::Backstage;
use super::clock;
use super::count::Count;
use super::dirs;
use super::driver::Driver;
use super::exit::{ExitCode, Failure};
use super::options::{Purge, ServerOptions};
use super::purge_task::PurgeTask;
use super::snapshots::Snapshots;
use super::words::LiveWords;
use crate::admin::{environment, Conf};
use crate::auth::Auth;
use crate::disk::{DirectoryLock, RealDisk};
use crate::metrics::Metrics;
use crate::net::{self, SessionDesk, Shared};
use crate::peer::Peer;
use crate::session;
use crate::storage::{self, Dirs, RecoverOptions, RecoveryRefused, Refusal, StorageError, TxnLog};
use crate::tree::Replica;

/// The top byte of a standalone server's session ids.
const SERVER_ID: u8 = 1;

type Pipeline = JoinHandle<Result<(), StorageError>>;
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
        let (recovered, metrics) = recover(&dirs, &options)?;
        // From here on a signal is an orderly end; before, it may just kill, for nothing has
        // been promised to anybody yet and a long recovery should not hold it up.
        let signals = Signals::catch()
            .map_err(|e| Failure::new(ExitCode::Unexpected, format!("can't catch signals: {e}")))?;
        let auth = Arc::new(auth);
        let now = clock::now();
        let peer = Peer::new(options.peer, Arc::clone(&auth), &recovered.replica, now);
        let log = TxnLog::new(RealDisk, &dirs.logs, options.log, recovered.last_zxid);
        // The wall clock, so that ids don't come again after a reboot.
        let first_session = first_session(&recovered.replica, now.wall_ms);
        let with_digest = options.tree.digest_enabled;
        let sessions = Arc::new(SessionDesk::default());
        let client_port = listener.as_ref().and_then(port_of).map_or(-1, i32::from);
        let conf = Conf { client_port, ..options.conf };
        let backstage = Backstage { conf, sessions: Arc::clone(&sessions) };
        tell_environment(&backstage);
        let words = LiveWords::new(options.words, backstage, now.mono_ms);
        let shared = Arc::new(Shared::new(
            options.net,
            recovered.replica,
            options.workers,
            auth,
            clock::now,
            first_session,
            Arc::new(metrics),
            Arc::new(words),
        ));
        let snapshots = Snapshots::new(
            dirs.snapshots.clone(),
            options.compression,
            with_digest,
            options.with_last_zxid,
        );
        let count = Count::new(Arc::clone(&shared), options.log.force_sync);
        let driver = Driver {
            shared: Arc::clone(&shared),
            peer,
            log,
            snapshots,
            sessions,
            published_ms: now.mono_ms,
            fsync_warning_ms: options.fsync_warning_ms,
            batch_max: options.batch_max,
            count,
        };
        let seed = options.tree.hash_seed;
        Ok(Server {
            driver: spawn_pipeline(driver)?,
            workers: spawn_workers(&shared, options.workers, seed)?,
            purge: start_purge(options.purge, dirs)?,
            shared,
            signals,
            listener,
            _locks: locks,
        })
    }

    /// Where clients connect.
    pub fn client_port(&self) -> Option<u16> {
        self.listener.as_ref().and_then(port_of)
    }

    /// Serves until a signal says stop, or until the log can't be written any more.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let Server { shared, listener, signals, driver, workers, purge, _locks } = self;
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

/// Reads the directories and says in the log and in the metrics what was found.
fn recover(dirs: &Dirs, options: &ServerOptions) -> Result<(storage::Recovered, Metrics), Failure> {
    let how = RecoverOptions {
        tree: options.tree,
        trust_empty_snapshot: options.trust_empty_snapshot,
        create_dirs: options.create_dirs,
        autocreate: options.autocreate,
        compression: options.compression,
        with_last_zxid: options.with_last_zxid,
        clock_ms: || clock::now().mono_ms,
    };
    let began = clock::now();
    let recovered = storage::recover(&RealDisk, dirs, &how).map_err(refused)?;
    let took_ms = clock::now().mono_ms - began.mono_ms;
    tell(&recovered, took_ms);
    let metrics = Metrics::default();
    metrics.dbinittime.add(took_ms);
    metrics.startup_snap_load_time.add(recovered.report.snapshot_load_ms);
    // Behind no snapshot there is nothing to replay, and Apache counts no replay.
    if recovered.report.snapshot.is_some() {
        metrics.startup_txns_load_time.add(recovered.report.txns_load_ms);
        metrics.startup_txns_loaded.add(recovered.report.txns as i64);
    }
    metrics.digest_mismatches_count.add(recovered.report.digest_mismatches as i64);
    Ok((recovered, metrics))
}

fn start_purge(purge: Option<Purge>, dirs: Dirs) -> Result<Option<PurgeTask>, Failure> {
    purge
        .map(|purge| PurgeTask::start(dirs, purge))
        .transpose()
        .map_err(|e| Failure::new(ExitCode::Unexpected, format!("can't start the purge task: {e}")))
}

/// The id of the first session made here: by the clock, and behind every session that was made
/// here before, should the clock have gone back.
fn first_session(replica: &Replica, wall_ms: i64) -> i64 {
    let by_clock = session::initial_session_id(SERVER_ID, wall_ms).0;
    let ours = |id: &i64| (id >> 56) as u8 == SERVER_ID;
    let last = replica.sessions().map(|(id, _)| id.0).filter(ours).max();
    last.map_or(by_clock, |last| by_clock.max(last + 1))
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

fn refused(refusal: RecoveryRefused) -> Failure {
    let code = match refusal.refusal {
        Refusal::Layout => ExitCode::DataDir,
        _ => ExitCode::Unexpected,
    };
    Failure::new(code, refusal.to_string())
}

/// The pipeline has come to its end by itself.
async fn stopped(shared: &Shared) {
    while !shared.is_stopping() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn spawn_pipeline(driver: Driver) -> Result<Pipeline, Failure> {
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

/// What `envi` shows, for whoever has only the log.
fn tell_environment(backstage: &Backstage) {
    for (key, value) in environment(&backstage.host()) {
        tracing::info!("Server environment:{key}={value}");
    }
}

fn tell(recovered: &storage::Recovered, took_ms: i64) {
    let report = &recovered.report;
    for (path, why) in &report.bad_snapshots {
        tracing::warn!("Snapshot {} can't be used and is set aside: {why}", path.display());
    }
    if let Some((path, offset)) = &report.cut {
        tracing::warn!("Cut an unfinished write off {} at offset {offset}", path.display());
    }
    if let Some(zxid) = report.first_mismatch {
        tracing::error!(
            "The tree's digest differs from the log's behind {} transactions, first at {zxid}",
            report.digest_mismatches
        );
    }
    for note in &report.notes {
        tracing::warn!("{note}");
    }
    if let Some(path) = &report.snapshot {
        tracing::info!("Reading snapshot {}", path.display());
        tracing::info!("{} txns loaded in {} ms", report.txns, report.txns_load_ms);
    }
    tracing::info!(
        "Snapshot loaded in {took_ms} ms, highest zxid is {}, digest is {}; {} transactions \
         replayed from {} logs",
        recovered.last_zxid,
        recovered.replica.digest(),
        report.txns,
        report.log_files
    );
}
