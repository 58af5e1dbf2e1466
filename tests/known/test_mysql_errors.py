"""Floor 1. The drivers of MySQL and MariaDB: lookalikes by name, and the real ones where they are installed."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


def kind(module: str, name: str, *bases: type) -> Any:
    """A class that has the name of one of a driver's."""
    return type(name, bases or (Exception,), {"__module__": module})


PYMYSQL = kind("pymysql.err", "OperationalError", kind("pymysql.err", "MySQLError"))
MYSQLDB = kind("MySQLdb._exceptions", "OperationalError", kind("MySQLdb._exceptions", "MySQLError"))
CONNECTOR = kind("mysql.connector.errors", "PoolError", kind("mysql.connector.errors", "Error"))
MARIADB = kind("mariadb", "OperationalError", kind("mariadb", "Error"))
ASYNCMY = kind("asyncmy.errors", "MySQLError")


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("numbers", "verdict", "applied"),
    [
        ("1213 1205 1040 1203 1412 1613 1614 1615 1637 3101 3168 3572 4031 1020 2002 2003 1689 3058 9007", T, False),
        ("2006 2013 2055 1053 1927 1158 1159 1160 1161 1184 9005", T, True),
        ("1045 1049 1062 1064 1146 1317 1969 3024 1792 1290 1129 1226 2005 2026 0 7777 1047", P, False),
        ("1180 2014 2027", P, True),
    ],
)
@pytest.mark.parametrize("cls", [PYMYSQL, MYSQLDB, CONNECTOR, MARIADB, ASYNCMY])
def test_numbers(cls: Any, numbers: str, verdict: Verdict, applied: bool) -> None:
    """The number decides; one that is not known is the server's refusal."""
    for number in map(int, numbers.split()):
        found = ask(cls(number, "m"))
        assert (found.verdict, found.applied) == (verdict, applied), number


def test_the_number_as_an_attribute() -> None:
    """`errno` is the number here, and no errno: 104 is no reset."""
    error = MARIADB("text alone")
    assert ask(error).verdict is P
    error.errno = 1213
    assert ask(error).reason == "mariadb.OperationalError [1213]"
    error.errno = 104
    assert ask(error).verdict is P


def test_a_state_where_the_number_is_not_known() -> None:
    """A fork's own number with the SQLSTATE of a serialization failure."""
    error = PYMYSQL(7777, "m")
    error.sqlstate = "40001"
    assert (ask(error).verdict, ask(error).applied) == (T, False)
    error.sqlstate = "42000"
    assert ask(error).verdict is P


@pytest.mark.parametrize("where", ["reading initial communication packet", "reading authorization packet"])
def test_lost_in_the_handshake(where: str) -> None:
    """Before anything was asked."""
    found = ask(MYSQLDB(2013, f"Lost connection to MySQL server at '{where}', system error: 0"))
    assert (found.verdict, found.applied) == (T, False)


def test_a_name_that_does_not_exist() -> None:
    """2003 hides it, in the context."""
    error = PYMYSQL(2003, "Can't connect to MySQL server on 'nosuch.invalid'")
    error.__context__ = socket.gaierror(socket.EAI_NONAME, "x")
    assert (ask(error).verdict, ask(error).applied) == (P, False)


@pytest.mark.parametrize("cls", [PYMYSQL, MYSQLDB, CONNECTOR, MARIADB, ASYNCMY])
@pytest.mark.parametrize(
    ("resource", "verdict"),
    [
        ("max_user_connections", T),
        ("max_connections_per_hour", P),
        ("max_queries_per_hour", P),
        ("max_updates_per_hour", P),
    ],
)
def test_the_limits_of_an_account(cls: Any, resource: str, verdict: Verdict) -> None:
    """1226 of connections passes when others leave, those of an hour do not; the statement was refused."""
    found = ask(cls(1226, f"User 'max_user_connections2' has exceeded the '{resource}' resource (current value: 1)"))
    assert (found.verdict, found.applied) == (verdict, False)


def test_texts_that_matter() -> None:
    """A node that is not in its cluster, and a pool that is used up."""
    assert ask(PYMYSQL(1047, "WSREP has not yet prepared node for application use")).verdict is T
    assert ask(CONNECTOR(-1, "Failed getting connection; pool exhausted")).verdict is T
    assert ask(CONNECTOR(-1, "Failed adding connection; queue is full")).verdict is P


def test_the_real_pymysql() -> None:
    """PyMySQL's own classes."""
    pymysql = pytest.importorskip("pymysql")
    assert ask(pymysql.err.OperationalError(1213, "Deadlock found")).verdict is T
    assert ask(pymysql.err.InterfaceError(0, "")).verdict is P
