//! Which requests a rule means.

use globset::{Glob, GlobMatcher};
use http::{Method, request::Parts};
use injector_spec::experiment::{Interface, OnRequests, Provider};

use super::Met;
use crate::{
    asked::Asked,
    tools::call::{Called, TOOLS_CALL, may_bear_a_message},
};

/// Which requests.
pub(super) enum Meant {
    /// To models.
    Models {
        provider: Option<Provider>,
        models: Globs,
        paths: Globs,
    },
    /// To tools.
    Tools {
        interface: Interface,
        tools: Globs,
        methods: Globs,
        paths: Globs,
    },
}

/// Patterns of which one has to match; none is anything.
pub(super) struct Globs(Vec<GlobMatcher>);

impl Globs {
    /// Of patterns that were checked when they were asked for.
    fn of(globs: &[String]) -> Self {
        let globs = globs.iter().filter_map(|glob| Glob::new(glob).ok());
        Self(globs.map(|glob| glob.compile_matcher()).collect())
    }

    fn take(&self, text: Option<&str>) -> bool {
        self.0.is_empty() || text.is_some_and(|text| self.0.iter().any(|glob| glob.is_match(text)))
    }
}

impl Meant {
    /// What a fault says of it.
    pub(super) fn of(on: OnRequests<'_>) -> Self {
        match on {
            OnRequests::Models(on) => {
                let requests = on.requests();
                Self::Models {
                    provider: requests.provider,
                    models: Globs::of(&requests.models),
                    paths: Globs::of(&requests.paths),
                }
            }
            OnRequests::Tools(on) => {
                let calls = on.calls();
                Self::Tools {
                    interface: calls.interface,
                    tools: Globs::of(&calls.tools),
                    methods: Globs::of(&calls.methods),
                    paths: Globs::of(&calls.paths),
                }
            }
        }
    }

    /// Whose words an answer is made up in, where the fault says so.
    pub(super) const fn provider(&self) -> Option<Provider> {
        match self {
            Self::Models { provider, .. } => *provider,
            Self::Tools { .. } => None,
        }
    }

    /// Whether a request may be a call that is meant, by its head.
    pub(super) fn may_take(&self, head: &Parts) -> bool {
        match self {
            Self::Models { .. } => false,
            Self::Tools {
                interface, paths, ..
            } => {
                let is_one = match interface {
                    Interface::Mcp => may_bear_a_message(head),
                    // Their answers have no body, or are about what may be asked.
                    Interface::Json => {
                        head.method != Method::HEAD && head.method != Method::OPTIONS
                    }
                };
                is_one && paths.take(Some(head.uri.path()))
            }
        }
    }

    /// Whether a request is meant.
    pub(super) fn takes(&self, met: Met<'_>) -> bool {
        match (self, met) {
            (
                Self::Models {
                    provider,
                    models,
                    paths,
                },
                Met::Model(asked),
            ) => {
                takes_model(*provider, asked)
                    && models.take(asked.model.as_deref())
                    && paths.take(Some(&asked.path))
            }
            (
                Self::Tools {
                    interface,
                    tools,
                    methods,
                    paths,
                },
                Met::Tool(called),
            ) => {
                let is_one = match interface {
                    Interface::Mcp => takes_message(tools, methods, called),
                    Interface::Json => tools.take(called.last_of_path()),
                };
                is_one && paths.take(Some(&called.path))
            }
            (Self::Models { .. }, Met::Tool(_)) | (Self::Tools { .. }, Met::Model(_)) => false,
        }
    }
}

fn takes_model(provider: Option<Provider>, asked: &Asked) -> bool {
    provider.is_none_or(|one| one.dialect() == asked.dialect)
}

fn takes_message(tools: &Globs, methods: &Globs, called: &Called) -> bool {
    let Some(message) = &called.message else {
        return false;
    };
    let is_method = if methods.0.is_empty() {
        message.method == TOOLS_CALL
    } else {
        methods.take(Some(&message.method))
    };
    is_method && tools.take(message.name.as_deref())
}
