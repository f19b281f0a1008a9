//! One process holds a data folder. A second one that is asked to work on its images hands the job to the first,
//! through a socket in the folder, which only the folder's owner can reach.

use crate::ServerError;
use crate::images::{Job, Store};
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Held as long as the process works on the folder.
pub(crate) struct Lock {
    _file: File,
}

/// The folder's lock; `None` when another process holds it.
pub(crate) fn lock(data_dir: &Path) -> Result<Option<Lock>, ServerError> {
    let path = data_dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(ServerError::file(&path))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(ServerError::File { path, source: error.into() }),
    }
}

fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Listens for jobs until cancelled. The lock's holder calls this, so a socket that is there is a dead one.
pub(crate) fn listen(
    store: &Store,
    cancel: CancellationToken,
) -> Result<impl Future<Output = ()> + Send + use<>, ServerError> {
    let path = socket(&store.data_dir);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(ServerError::file(&path)(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(ServerError::file(&path))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(ServerError::file(&path))?;
    let store = store.clone();
    Ok(async move {
        loop {
            let stream = tokio::select! {
                () = cancel.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "command not accepted");
                        continue;
                    }
                },
            };
            let (store, cancel) = (store.clone(), cancel.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = cancel.cancelled() => {}
                    result = answer(&store, stream) => {
                        if let Err(error) = result {
                            tracing::warn!(%error, "command not answered");
                        }
                    }
                }
            });
        }
        let _ = std::fs::remove_file(&path);
    })
}

/// A job is one line of JSON; answers are lines; the last one begins with `=`.
async fn answer(store: &Store, stream: UnixStream) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut text = String::new();
    BufReader::new(reader).take(1 << 20).read_line(&mut text).await?;
    let Ok(job) = serde_json::from_str::<Job>(&text) else {
        return writer.write_all(b"=error not a job of this version\n").await;
    };
    let (lines, mut spoken) = mpsc::channel::<String>(16);
    let work = {
        let store = store.clone();
        tokio::spawn(async move { store.perform(job, &lines).await })
    };
    while let Some(line) = spoken.recv().await {
        writer.write_all(format!(" {}\n", line.replace('\n', " ")).as_bytes()).await?;
    }
    let last = match work.await {
        Ok(Ok(true)) => "=ok".to_owned(),
        Ok(Ok(false)) => "=incomplete".to_owned(),
        Ok(Err(error)) => format!("=error {error}").replace('\n', " "),
        Err(_) => "=error interrupted".to_owned(),
    };
    writer.write_all(format!("{last}\n").as_bytes()).await
}

/// Hands the job to the process that holds the folder and prints what it says.
pub(crate) async fn ask(data_dir: &Path, job: &Job) -> Result<bool, ServerError> {
    let path = socket(data_dir);
    let mut stream = UnixStream::connect(&path).await.map_err(ServerError::file(&path))?;
    let mut text = serde_json::to_string(job).map_err(|error| ServerError::Said(error.to_string()))?;
    text.push('\n');
    stream.write_all(text.as_bytes()).await.map_err(ServerError::file(&path))?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await.map_err(ServerError::file(&path))? {
        match line.as_str() {
            "=ok" => return Ok(true),
            "=incomplete" => return Ok(false),
            other => match other.strip_prefix("=error ") {
                Some(reason) => return Err(ServerError::Said(reason.to_owned())),
                None => println!("{}", other.trim_start()),
            },
        }
    }
    Err(ServerError::Said("the server ended before the job did".to_owned()))
}

/// Does the job here.
pub(crate) async fn work(store: &Store, job: Job) -> Result<bool, ServerError> {
    let (lines, mut spoken) = mpsc::channel::<String>(16);
    let printing = tokio::spawn(async move {
        while let Some(line) = spoken.recv().await {
            println!("{line}");
        }
    });
    let result = store.perform(job, &lines).await;
    drop(lines);
    let _ = printing.await;
    result
}
