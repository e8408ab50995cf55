//! What earlier calls of a ufunc found out: the dtypes and the kernel that serve the dtypes of a call. Looking
//! these up takes a few comparisons; finding them out takes longer than the addition of a thousand numbers.

use crate::cache::Kernel;
use crate::call::CallTypes;
use crate::dtype::Casting;
use crate::nest::Few;
use crate::resolve::ArgType;
use kjit_ir::DType;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Sites kept by a ufunc; further ones are found out anew.
const MOST: usize = 16;

/// All that dtypes and kernel of a call depend on, beside the ufunc.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SiteKey {
    /// Number of the engine.
    pub(crate) engine: u64,
    pub(crate) casting: Casting,
    /// Are status flags looked for?
    pub(crate) flags: bool,
    pub(crate) masked: bool,
    pub(crate) args: Few<ArgType>,
    /// Of outputs with an array to go to.
    pub(crate) outs: Few<Option<DType>>,
}

/// What is known of a call.
pub(crate) struct Site {
    pub(crate) types: CallTypes,
    pub(crate) kernel: Arc<Kernel>,
}

struct Entry {
    key: SiteKey,
    site: Arc<Site>,
    next: OnceLock<Box<Entry>>,
}

/// Grows only, so that finding a site takes no lock.
#[derive(Default)]
pub(crate) struct Sites {
    first: OnceLock<Box<Entry>>,
}

impl Sites {
    /// The site whose key is this.
    pub(crate) fn find(&self, key: &SiteKey) -> Option<&Arc<Site>> {
        self.find_with(|known| known == key)
    }

    /// The first site whose key is wanted.
    #[inline]
    pub(crate) fn find_with(&self, wanted: impl Fn(&SiteKey) -> bool) -> Option<&Arc<Site>> {
        let mut place = &self.first;
        while let Some(entry) = place.get() {
            if wanted(&entry.key) {
                return Some(&entry.site);
            }
            place = &entry.next;
        }
        None
    }

    /// Adds a site, unless there are many or another thread has added it.
    pub(crate) fn add(&self, key: SiteKey, site: &Arc<Site>) {
        let mut place = &self.first;
        for _ in 0..MOST {
            let entry = place.get_or_init(|| {
                Box::new(Entry {
                    key: key.clone(),
                    site: site.clone(),
                    next: OnceLock::new(),
                })
            });
            if entry.key == key {
                return;
            }
            place = &entry.next;
        }
    }
}

impl fmt::Debug for Sites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sites")
    }
}
