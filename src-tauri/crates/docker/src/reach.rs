//! What a container with a network can reach of the computer it runs on. Facts about kinds of engines in words for
//! people; nothing is closed here, since that would mean to change the firewall of the computer.

use crate::engine::{Engine, EngineInfo};
use crate::surroundings::Platform;

/// How near a container of an engine comes to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// What listens on all addresses of this computer, as every machine of its network does; not what listens on
    /// 127.0.0.1 alone.
    OpenPorts,
    /// What listens on 127.0.0.1 alone as well: the engine runs in a machine of its own, which hands connections to a
    /// name such as `host.docker.internal` on to this computer as if they began here.
    OwnPorts,
    /// Another computer, on which the engine runs.
    Elsewhere,
}

impl Reach {
    fn of(engine: &EngineInfo, platform: Platform) -> Self {
        match platform {
            // It may run here even where it is spoken to over the network.
            _ if engine.is_desktop => Self::OwnPorts,
            _ if !engine.address.is_local() => Self::Elsewhere,
            Platform::Linux => Self::OpenPorts,
            Platform::MacOs | Platform::Windows => Self::OwnPorts,
        }
    }

    /// Whether a container can connect to a port that is open to this computer alone, as ours is.
    pub fn includes_own_ports(self) -> bool {
        self == Self::OwnPorts
    }

    /// What holds, in whole sentences.
    pub fn explain(self) -> &'static str {
        match self {
            Self::OpenPorts => {
                "Jobs with a network reach the internet, the network that this computer is in, and programs here that \
                 listen on all addresses (0.0.0.0). They reach neither each other nor programs that listen on \
                 127.0.0.1 alone, as Deskgrid does. Choose the network `none` for sites that need none."
            }
            Self::OwnPorts => {
                "Jobs with a network reach the internet, the network that this computer is in, and, through names such \
                 as host.docker.internal, every program on this computer, also those that listen on 127.0.0.1 alone. \
                 They do not reach each other. Choose the network `none` for sites that need none."
            }
            Self::Elsewhere => {
                "Jobs run on another computer. With a network they reach the internet, the network that it is in, and \
                 programs there that listen on all addresses (0.0.0.0). They do not reach each other. Choose the \
                 network `none` for sites that need none."
            }
        }
    }
}

impl Engine {
    /// What its containers reach of this computer, when they have a network at all.
    pub fn reach(&self) -> Reach {
        Reach::of(self.info(), Platform::here())
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::{SystemInfo, SystemVersion};

    use super::*;
    use crate::address::Address;

    fn reach(address: &str, product: &str, platform: Platform) -> Reach {
        let info = SystemInfo { operating_system: Some(product.to_owned()), ..SystemInfo::default() };
        Reach::of(&EngineInfo::new(Address::parse(address), SystemVersion::default(), info), platform)
    }

    #[test]
    fn an_engine_in_a_machine_of_its_own_lets_containers_in_by_the_back_door() {
        use Platform::{Linux, MacOs, Windows};
        use Reach::{Elsewhere, OpenPorts, OwnPorts};
        for (address, product, platform, wanted) in [
            ("unix:///x", "Debian GNU/Linux 12", Linux, OpenPorts),
            ("unix:///x", "Docker Desktop", Linux, OwnPorts),
            ("unix:///x", "Docker Desktop", MacOs, OwnPorts),
            ("unix:///x", "Fedora CoreOS", MacOs, OwnPorts),
            ("npipe:////./pipe/docker_engine", "Docker Desktop", Windows, OwnPorts),
            ("tcp://192.0.2.1:2375", "Debian GNU/Linux 12", Linux, Elsewhere),
        ] {
            assert_eq!(reach(address, product, platform), wanted, "{address} {product} {platform:?}");
        }
    }

    #[test]
    fn only_the_back_door_leads_to_our_own_port() {
        assert!(Reach::OwnPorts.includes_own_ports());
        assert!(!Reach::OpenPorts.includes_own_ports() && !Reach::Elsewhere.includes_own_ports());
    }
}
