//! Log lines in the shape of Apache's logback pattern, so that the eyes and the greps of
//! operators find what they know: `time [myid:N] - LEVEL [thread:module@line] - message`.

use std::fmt;
use std::sync::OnceLock;

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::OffsetDateTime;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::EnvFilter;

use crate::types::Sid;

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second],[subsecond digits:3]");

/// The server's number, once it is known to have one.
static MY_ID: OnceLock<i64> = OnceLock::new();

/// From here on every line names the member that writes it.
pub fn name_member(sid: Sid) {
    // A second start in one process (tests) keeps the first one's.
    let _ = MY_ID.set(sid.0);
}

struct ApacheLines;

/// Starts logging to standard error. The level is `OXKEEPER_LOG`'s, else INFO.
pub fn init() {
    let filter = EnvFilter::try_from_env("OXKEEPER_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // A second start in one process (tests) keeps the first one's subscriber.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .event_format(ApacheLines)
        .try_init();
}

impl<S, N> FormatEvent<S, N> for ApacheLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        cx: &FmtContext<'_, S, N>,
        mut w: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let meta = event.metadata();
        let now = OffsetDateTime::now_utc().format(TIME).map_err(|_| fmt::Error)?;
        let thread = std::thread::current();
        write!(
            w,
            "{now} [myid:{}] - {:<5} [{}:{}@{}] - ",
            MY_ID.get().map(i64::to_string).unwrap_or_default(),
            meta.level(),
            thread.name().unwrap_or("main"),
            meta.target(),
            meta.line().unwrap_or(0)
        )?;
        cx.format_fields(w.by_ref(), event)?;
        writeln!(w)
    }
}
