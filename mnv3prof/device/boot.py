"""First code on a device: it imports this package from memory. It is parsed by Python 3.6 and newer."""

import sys


def start(sources, token, cpus, threads):  # type: ignore[no-untyped-def]
    """Serve requests. sources: text of each module by name; a package ends in ".__init__"."""
    if sys.version_info < (3, 8):
        sys.exit("Python %d.%d" % sys.version_info[:2])
    from importlib.abc import Loader, MetaPathFinder
    from importlib.util import spec_from_loader

    class Memory(MetaPathFinder, Loader):
        """Finds the modules in `sources` before those of an installation."""

        def find_spec(self, fullname, path=None, target=None):  # type: ignore[no-untyped-def]
            package = fullname + ".__init__"
            if package not in sources and fullname not in sources:
                return None
            return spec_from_loader(fullname, self, origin="memory", is_package=package in sources)

        def exec_module(self, module):  # type: ignore[no-untyped-def]
            name = module.__spec__.name
            text = sources.get(name + ".__init__", sources.get(name))
            exec(compile(text, name, "exec"), module.__dict__)

    sys.meta_path.insert(0, Memory())
    from mnv3prof.device.remote import main

    main(token, cpus, threads)
