//! The ways in which packs can be written: each case runs on plain and on encrypted ones.

use mingying_blob::{Cipher, Keys, MasterKey};
use std::cell::RefCell;

thread_local! {
    static KEYS: RefCell<Keys> = RefCell::default();
}

/// What the running case encrypts with.
pub fn keys() -> Keys {
    KEYS.with_borrow(Clone::clone)
}

pub fn plain() {
    KEYS.take();
}

pub fn encrypted(cipher: Cipher) {
    KEYS.set(Keys::new(Some((cipher, MasterKey::random().unwrap())), []));
}

/// Makes tests of functions without arguments, for each way.
macro_rules! in_all_ways {
    ($($(#[$more:meta])* $case:ident),* $(,)?) => {
        mod plain {
            $(#[tokio::test] $(#[$more])* async fn $case() {
                crate::ways::plain();
                super::$case().await;
            })*
        }
        mod aes {
            $(#[tokio::test] $(#[$more])* async fn $case() {
                crate::ways::encrypted(mingying_blob::Cipher::Aes256Gcm);
                super::$case().await;
            })*
        }
        mod sm4 {
            $(#[tokio::test] $(#[$more])* async fn $case() {
                crate::ways::encrypted(mingying_blob::Cipher::Sm4Gcm);
                super::$case().await;
            })*
        }
    };
}
pub(crate) use in_all_ways;
