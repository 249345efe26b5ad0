//! What the person lets the jobs of each site do. Not who may submit jobs: that is decided before they come here.

use std::collections::HashMap;

use deskgrid_docker::{Confinement, Network};
use deskgrid_job::{BlobHash, Caller};
use sha2::{Digest as _, Sha256};

/// The volume that programs and the shipped sites share (protocol section 6).
const SHARED_CACHE: &str = "metaframe-container-worker-cache";

/// What the jobs of one site may do. The default is for sites of which the person said nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteRules {
    /// Whether containers keep the rights that the engine gives by itself, for images that need them.
    pub compatible: bool,
    /// What containers can reach.
    pub network: SiteNetwork,
}

/// What the jobs of a site can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SiteNetwork {
    /// The internet, and what [`deskgrid_docker::Reach`] says.
    #[default]
    Internet,
    /// Nothing.
    None,
}

/// The rules of each site, and of programs.
pub type SiteRulesByCaller = HashMap<Caller, SiteRules>;

/// What one job may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Permits {
    pub(crate) confinement: Confinement,
    pub(crate) network: Network,
    /// The volume at `/job-cache`.
    pub(crate) cache: String,
}

impl Permits {
    /// What a job may do that all of `callers` want: only what each of them may, so that nobody gains by asking for
    /// the job of another.
    pub(crate) fn of(callers: &[Caller], rules: &SiteRulesByCaller) -> Self {
        let rules: Vec<_> =
            callers.iter().map(|caller| rules.get(caller).copied().unwrap_or_default()).collect();
        let is_compatible = !rules.is_empty() && rules.iter().all(|rules| rules.compatible);
        let has_network = rules.iter().all(|rules| rules.network == SiteNetwork::Internet);
        Self {
            confinement: if is_compatible { Confinement::Usual } else { Confinement::Close },
            network: if has_network { Network::Jobs } else { Network::Off },
            cache: cache_volume(callers),
        }
    }
}

/// The volume at `/job-cache` of a job that `callers` wanted.
pub(crate) fn cache_volume(callers: &[Caller]) -> String {
    callers.iter().find_map(own_cache).unwrap_or_else(|| SHARED_CACHE.to_owned())
}

/// The volume of a site's own, so that it cannot spoil what others keep there.
fn own_cache(caller: &Caller) -> Option<String> {
    match caller {
        Caller::Page(origin) if !caller.is_shipped() => {
            let name = BlobHash(Sha256::digest(origin.as_bytes()).into()).to_string();
            Some(format!("deskgrid-job-cache-{}", &name[..32]))
        }
        Caller::Program | Caller::Page(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(host: &str) -> Caller {
        Caller::parse(&format!("https://{host}"))
    }

    fn permits(callers: &[Caller], rules: &[(Caller, SiteRules)]) -> Permits {
        Permits::of(callers, &rules.iter().cloned().collect())
    }

    #[test]
    fn a_site_of_which_nothing_is_said_has_the_internet_and_no_special_rights() {
        let permits = permits(&[page("a.example")], &[]);
        assert_eq!((permits.confinement, permits.network), (Confinement::Close, Network::Jobs));
    }

    #[test]
    fn a_site_gets_what_its_rules_say() {
        let rules = SiteRules { compatible: true, network: SiteNetwork::None };
        let permits = permits(&[page("a.example")], &[(page("a.example"), rules)]);
        assert_eq!((permits.confinement, permits.network), (Confinement::Usual, Network::Off));
    }

    #[test]
    fn a_job_of_two_sites_may_only_do_what_both_may() {
        let free = SiteRules { compatible: true, network: SiteNetwork::Internet };
        let closed = SiteRules { compatible: false, network: SiteNetwork::None };
        let rules = [(page("free.example"), free), (page("closed.example"), closed)];
        let both = permits(&[page("free.example"), page("closed.example")], &rules);
        assert_eq!((both.confinement, both.network), (Confinement::Close, Network::Off));
        assert_eq!(permits(&[], &rules).confinement, Confinement::Close);
    }

    #[test]
    fn each_site_has_a_cache_of_its_own_and_shipped_sites_and_programs_share_one() {
        let cache = |callers: &[Caller]| permits(callers, &[]).cache;
        let (one, other) = (cache(&[page("a.example")]), cache(&[page("b.example")]));
        assert!(one != other && one.starts_with("deskgrid-job-cache-") && one.len() == 51, "{one}");
        for shared in [Caller::Program, page("container.mtfm.io"), page("metapage.io")] {
            assert_eq!(cache(&[shared]), SHARED_CACHE);
        }
        for lookalike in ["container.mtfm.io:444", "x.metapage.io", "Metapage.io"] {
            assert_ne!(cache(&[page(lookalike)]), SHARED_CACHE);
        }
        assert_eq!(cache(&[Caller::Program, page("a.example")]), one);
    }
}
