"""The scenarios of compat/README.md.

scenario.py versions                    a line "CLIENT VERSION" for each client
scenario.py CLIENT SCENARIO BOOTSTRAP   runs one; status 77 and a last line that says why if it is not applicable
scenario.py CLIENT member OPTION...     is a member of the checker's group
"""

import importlib
import sys
from functools import partial
from importlib.metadata import version

import member
from case import Case
from client import NotApplicable
from commits import commit
from exactly_once import exactly_once, exactly_once_new
from membership import cooperative, group, group_new, migrate, regex, static, static_new
from records import headers, idempotent, large, long_poll, produce
from restart import restart
from topics import admin, delete_records, seek
from transactions import fencing, transaction_timeout, transactions, transactions_admin

NOT_APPLICABLE = 77
MODULES = {"confluent-kafka": "confluent_client", "kafka-python": "kafka_python_client"}
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
NAMED = [admin, idempotent, headers, large, group, group_new, static, static_new, cooperative, regex, migrate]
NAMED += [seek, commit, delete_records, long_poll, restart]
NAMED += [transactions, fencing, exactly_once, exactly_once_new, transaction_timeout, transactions_admin]
SCENARIOS = {function.__name__.replace("_", "-"): function for function in NAMED}
SCENARIOS |= {f"produce-{codec}": partial(produce, codec=codec) for codec in CODECS}


def main(arguments):
    if arguments == ["versions"]:
        for client in MODULES:
            print(client, version(client))
        return 0
    if arguments[1:2] == ["member"] and arguments[0] in MODULES:
        member.run(importlib.import_module(MODULES[arguments[0]]), arguments[2:])
        return 0
    if len(arguments) != 3 or arguments[0] not in MODULES or arguments[1] not in SCENARIOS:
        print(__doc__, file=sys.stderr)
        return 2
    client, scenario, bootstrap = arguments
    case = Case(importlib.import_module(MODULES[client]), bootstrap, scenario)
    try:
        SCENARIOS[scenario](case)
    except NotApplicable as reason:
        print(reason)
        return NOT_APPLICABLE
    finally:
        case.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
