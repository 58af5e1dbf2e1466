"""Floor 2. AMQP 0-9-1: pika, aiormq beneath aio-pika, py-amqp and kombu, by the broker's reply code, else by class."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client
from redouble.known.words import as_beneath, number_at, text

_SPEC = "AMQP 0-9-1 1.2, reply codes"
_PIKA = "pika/exceptions.py"
_AIORMQ = "aiormq/exceptions.py"
_AMQP = "amqp/exceptions.py"
_KOMBU = "kombu/exceptions.py"
_OTHER = (PERMANENT, PERHAPS, _SPEC, "the request, the rights, or the protocol", "other")
_REPLIES = (
    (TRANSIENT, PERHAPS, _SPEC, "the broker shuts down, or was told to close the connection", "320"),
    (TRANSIENT, PERHAPS, _SPEC, "the broker failed, or has no resources left", "506 541"),
    (TRANSIENT, SURELY_NOT, _SPEC, "no consumers, for a message that is not to be kept", "313"),
    (TRANSIENT, SURELY_NOT, _SPEC, "another connection holds it", "405"),
    (PERMANENT, PERHAPS, _SPEC, "closed by the client itself, in order", "200"),
)
_CLOSED = (*_REPLIES, _OTHER)

TABLE: Table = (
    client(
        "pika",
        number_at("reply_code", "args.0").of("ConnectionClosed ChannelClosed", *_CLOSED),
        as_beneath("exception", "exceptions")(
            (TRANSIENT, PERHAPS, _PIKA, "the connection is gone, or never came about", "AMQPConnectionError"),
            (TRANSIENT, SURELY_NOT, _PIKA, "no connection came about", "AMQPConnectorException"),
        ),
        text({"StreamLostError": ("StreamLostError",)}, anywhere=True).of(
            "IncompatibleProtocolError",
            (TRANSIENT, SURELY_NOT, _PIKA, "the broker hung up in the handshake", "StreamLostError"),
            (PERMANENT, SURELY_NOT, _PIKA, "the server is not a broker", "other"),
        ),
        by_class(
            (TRANSIENT, PERHAPS, _PIKA, "the connection is gone", "StreamLostError AMQPHeartbeatTimeout"),
            (
                TRANSIENT,
                SURELY_NOT,
                _PIKA,
                "held back by a broker that is short of something",
                "ConnectionBlockedTimeout ConnectionOpenAborted NoFreeChannels",
            ),
            (TRANSIENT, SURELY_NOT, _PIKA, "the broker did not take the message", "NackError"),
            (TRANSIENT, SURELY_NOT, _PIKA, "no connection came about in time", "AMQPConnectorStackTimeout"),
            (PERMANENT, SURELY_NOT, _PIKA, "no queue for the message", "UnroutableError"),
            (
                PERMANENT,
                SURELY_NOT,
                _PIKA,
                "the user, the password or the virtual host",
                "AuthenticationError ProbableAuthenticationError ProbableAccessDeniedError",
            ),
            (
                PERMANENT,
                SURELY_NOT,
                _PIKA,
                "used after it was closed",
                "ConnectionWrongStateError ChannelWrongStateError",
            ),
            (PERMANENT, PERHAPS, _PIKA, "misuse, or a broken protocol", "AMQPError ChannelError"),
        ),
    )
    + client(
        "aiormq",
        as_beneath()(
            (TRANSIENT, PERHAPS, _AIORMQ, "the connection is gone, or never came about", "AMQPConnectionError")
        ),
        number_at("args.0").of("ConnectionClosed", *_REPLIES, (TRANSIENT, PERHAPS, _AIORMQ, "gone", "other")),
        number_at("args.0").of("ChannelClosed", *_CLOSED),
        by_class(
            (TRANSIENT, SURELY_NOT, _AIORMQ, "another connection holds it", "ChannelLockedResource"),
            (TRANSIENT, SURELY_NOT, _AIORMQ, "the broker did not take the message", "DeliveryError"),
            (TRANSIENT, PERHAPS, _AIORMQ, "the broker failed", "ConnectionInternalError ConnectionResourceError"),
            (PERMANENT, SURELY_NOT, _AIORMQ, "no queue for the message", "PublishError"),
            (
                PERMANENT,
                SURELY_NOT,
                _AIORMQ,
                "the user, the password, the virtual host or the protocol",
                "AuthenticationError ProbableAuthenticationError IncompatibleProtocolError ConnectionNotAllowed"
                " ConnectionNotImplemented ConnectionSyntaxError ConnectionFrameError ConnectionCommandInvalid"
                " ConnectionChannelError ConnectionUnexpectedFrame",
            ),
            (PERMANENT, SURELY_NOT, _AIORMQ, "used after it was closed", "ChannelInvalidStateError"),
            (PERMANENT, PERHAPS, _AIORMQ, "misuse, or a broken protocol", "AMQPError AMQPException"),
        ),
    )
    + client(
        "amqp",
        number_at("reply_code", "code").of("AMQPError", *_CLOSED),
        number_at("reply_code", "code").of(
            "RecoverableConnectionError",
            *_REPLIES[:3],
            (TRANSIENT, PERHAPS, _AMQP, "the connection is gone: a new one helps", "other"),
        ),
        by_class((TRANSIENT, SURELY_NOT, _AMQP, "the broker did not take the message", "MessageNacked")),
    )
    + client(
        "kombu",
        as_beneath()((PERMANENT, PERHAPS, _KOMBU, "as the error beneath it", "OperationalError")),
        by_class(
            (TRANSIENT, SURELY_NOT, _KOMBU, "no connection or channel of its own pool was free", "LimitExceeded"),
            (PERMANENT, SURELY_NOT, _KOMBU, "misuse, or a message that cannot be read", "KombuError"),
        ),
    )
)
