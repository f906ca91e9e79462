//! `crate = path` finds the library where it is re-exported.

#![deny(warnings)]

mod renamed {
    pub(crate) use quitter as q;
}

mod program {
    #[crate::renamed::q::routine(crate = crate::renamed::q, name = "beat")]
    fn heartbeat(q: &crate::renamed::q::RoutineQuitter) {
        q.set_status("beating");
    }

    #[crate::renamed::q::main(crate = super::renamed::q, sources = [quitter::QuitSource::all_done()])]
    pub(crate) fn main() {}
}

fn main() -> quitter::ExitReport {
    program::main()
}
