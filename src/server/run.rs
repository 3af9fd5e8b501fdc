//! A standalone server from its start to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::signal::unix::{signal, SignalKind};

use super::backstage::Backstage;
use super::clock;
use super::count::Count;
use super::driver::Driver;
use super::exit::{ExitCode, Failure};
use super::options::ServerOptions;
use super::snapshots::Snapshots;
use super::words::LiveWords;
use crate::admin::Conf;
use crate::auth::Auth;
use crate::disk::{lock_directory, DirectoryLock, RealDisk};
use crate::metrics::Metrics;
use crate::net::{self, SessionDesk, Shared};
use crate::peer::Peer;
use crate::session;
use crate::storage::{self, Dirs, RecoverOptions, StorageError, TxnLog};
use crate::tree::Replica;

/// The top byte of a standalone server's session ids.
const SERVER_ID: u8 = 1;

/// A running server.
pub struct Server {
    shared: Arc<Shared>,
    listener: std::net::TcpListener,
    driver: JoinHandle<Result<(), StorageError>>,
    workers: Vec<JoinHandle<std::io::Result<()>>>,
    _lock: DirectoryLock,
}

impl Server {
    /// Recovers the data, starts the threads and listens. Nothing is accepted before
    /// [`Server::run`].
    pub fn start(options: ServerOptions, auth: Auth) -> Result<Server, Failure> {
        let dirs = Dirs::new(&options.data_dir, options.data_log_dir.as_deref());
        let recover = RecoverOptions {
            tree: options.tree,
            trust_empty_snapshot: options.trust_empty_snapshot,
            create_dirs: options.create_dirs,
            compression: options.compression,
        };
        prepare_dirs(&dirs, options.create_dirs)?;
        let lock = lock_directory(&dirs.logs)
            .map_err(|e| Failure::new(ExitCode::DataDir, e.to_string()))?;
        let listener = listen(&options)?;
        let began = clock::now();
        let recovered = storage::recover(&RealDisk, &dirs, &recover)
            .map_err(|e| Failure::new(ExitCode::Unexpected, e.to_string()))?;
        let took_ms = clock::now().mono_ms - began.mono_ms;
        tell(&recovered, took_ms);
        let metrics = Arc::new(Metrics::default());
        metrics.dbinittime.add(took_ms);
        metrics.startup_txns_loaded.add(recovered.report.txns as i64);
        metrics.digest_mismatches_count.add(recovered.report.digest_mismatches as i64);
        let auth = Arc::new(auth);
        let now = clock::now();
        let peer = Peer::new(options.peer, Arc::clone(&auth), &recovered.replica, now);
        let log = TxnLog::new(RealDisk, &dirs.logs, options.log, recovered.last_zxid);
        // The wall clock, so that ids don't come again after a reboot.
        let first_session = first_session(&recovered.replica, now.wall_ms);
        let with_digest = options.tree.digest_enabled;
        let sessions = Arc::new(SessionDesk::default());
        let port = listener.local_addr().map_or(-1, |address| i32::from(address.port()));
        let conf = Conf { client_port: port, ..options.conf };
        let backstage = Backstage { conf, sessions: Arc::clone(&sessions) };
        let words = LiveWords::new(options.words, backstage, now.mono_ms);
        let shared = Arc::new(Shared::new(
            options.net,
            recovered.replica,
            options.workers,
            auth,
            clock::now,
            first_session,
            metrics,
            Arc::new(words),
        ));
        let snapshots = Snapshots::new(dirs.snapshots.clone(), options.compression, with_digest);
        let count = Count::new(Arc::clone(&shared), options.log.force_sync);
        let driver = Driver {
            shared: Arc::clone(&shared),
            peer,
            log,
            snapshots,
            sessions,
            published_ms: now.mono_ms,
            count,
        };
        let seed = options.tree.hash_seed;
        Ok(Server {
            driver: spawn("pipeline", {
                let shared = Arc::clone(&shared);
                move || {
                    let ended = driver.run();
                    shared.stop();
                    ended
                }
            })?,
            workers: (0..options.workers)
                .map(|index| {
                    let shared = Arc::clone(&shared);
                    spawn(&format!("worker-{index}"), move || net::run_worker(shared, index, seed))
                })
                .collect::<Result<_, _>>()?,
            shared,
            listener,
            _lock: lock,
        })
    }

    /// Where clients connect.
    pub fn client_address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until a signal says stop, or until the log can't be written any more.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|e| Failure::new(ExitCode::Unexpected, format!("no runtime: {e}")))?;
        let Server { shared, listener, driver, workers, _lock } = self;
        let ended = runtime.block_on(serve_until_told(&shared, listener));
        shared.stop();
        for worker in workers {
            // A worker that panicked has said so.
            let _ = worker.join();
        }
        let written = driver.join();
        match (ended, written) {
            (Err(e), _) => Err(Failure::new(ExitCode::Unexpected, e.to_string())),
            (_, Ok(Ok(()))) => Ok(ExitCode::Finished),
            (_, Ok(Err(e))) => Err(Failure::new(
                ExitCode::Unexpected,
                format!("Severe unrecoverable error, from thread pipeline: {e}"),
            )),
            (_, Err(_)) => Err(Failure::new(ExitCode::Unexpected, "the pipeline panicked")),
        }
    }
}

/// The id of the first session made here: by the clock, and behind every session that was made
/// here before, should the clock have gone back.
fn first_session(replica: &Replica, wall_ms: i64) -> i64 {
    let by_clock = session::initial_session_id(SERVER_ID, wall_ms).0;
    let ours = |id: &i64| (id >> 56) as u8 == SERVER_ID;
    let last = replica.sessions().map(|(id, _)| id.0).filter(ours).max();
    last.map_or(by_clock, |last| by_clock.max(last + 1))
}

async fn serve_until_told(
    shared: &Arc<Shared>,
    listener: std::net::TcpListener,
) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        ended = net::accept(Arc::clone(shared), listener) => ended,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = stopped(shared) => Ok(()),
    }
}

/// The pipeline has come to its end by itself.
async fn stopped(shared: &Shared) {
    while !shared.is_stopping() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn prepare_dirs(dirs: &Dirs, create: bool) -> Result<(), Failure> {
    for dir in [&dirs.snapshots, &dirs.logs] {
        if !dir.is_dir() && create {
            std::fs::create_dir_all(dir).map_err(|e| {
                let line = format!("Unable to create data directory {}: {e}", dir.display());
                Failure::new(ExitCode::DataDir, line)
            })?;
        }
        if !dir.is_dir() {
            let line = format!(
                "Missing data directory {}, automatic data directory creation is \
                 disabled (zookeeper.datadir.autocreate is false). Please create this directory \
                 manually.",
                dir.display()
            );
            return Err(Failure::new(ExitCode::DataDir, line));
        }
    }
    Ok(())
}

fn listen(options: &ServerOptions) -> Result<std::net::TcpListener, Failure> {
    let address = options.client_address;
    let listener = net::bind(address, options.listen_backlog).map_err(|e| {
        let line = format!(
            "can't listen on {address}: {e}; change clientPort or clientPortAddress, or stop what \
             listens there"
        );
        Failure::new(ExitCode::Unexpected, line)
    })?;
    tracing::info!("binding to port {address}");
    Ok(listener)
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
    tracing::info!(
        "Snapshot loaded in {took_ms} ms, highest zxid is {}, digest is {}; {} transactions \
         replayed from {} logs",
        recovered.last_zxid,
        recovered.replica.digest(),
        report.txns,
        report.log_files
    );
}
