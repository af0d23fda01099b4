"""Consumers: order, prefetch, and ends; and basic.get."""

from __future__ import annotations

from tools.probes.pika_support import Inbox, Probe, describe_message, fence, scenario, wait_until


@scenario
def prefetch_per_consumer(probe: Probe) -> None:
    """Each consumer of the channel has so many unsettled; acks make room."""
    channel = probe.channel()
    channel.confirm_delivery()
    first, second = probe.queue(channel, "first"), probe.queue(channel, "second")
    probe.publish(channel, "", first, *(b"a%d" % number for number in range(5)))
    probe.publish(channel, "", second, *(b"b%d" % number for number in range(5)))
    probe.tries("qos", channel.basic_qos, prefetch_count=2)
    one, two = probe.consume(channel, first), probe.consume(channel, second)
    fence(channel, first)
    fence(channel, second)
    probe.say(f"{one.bodies} {two.bodies}")
    channel.basic_ack(one.deliveries[0][0].delivery_tag)
    one.wait(3)
    fence(channel, first)
    probe.say(f"one acked: {one.bodies} {two.bodies}")
    channel.basic_qos(prefetch_count=4)
    fence(channel, first)
    probe.say(f"qos raised later: {one.bodies} {two.bodies}")
    channel.basic_ack(0, multiple=True)
    one.wait(5)
    two.wait(4)
    fence(channel, second)
    probe.say(f"all acked: {one.bodies} {two.bodies}")


@scenario
def prefetch_per_channel(probe: Probe) -> None:
    """A global prefetch is shared by the channel's consumers."""
    channel = probe.channel()
    channel.confirm_delivery()
    first, second = probe.queue(channel, "first"), probe.queue(channel, "second")
    probe.publish(channel, "", first, *(b"a%d" % number for number in range(5)))
    probe.publish(channel, "", second, *(b"b%d" % number for number in range(5)))
    probe.tries("qos", channel.basic_qos, prefetch_count=3, global_qos=True)
    one = probe.consume(channel, first)
    fence(channel, first)
    two = probe.consume(channel, second)
    fence(channel, second)
    probe.say(f"{one.bodies} {two.bodies}")
    channel.basic_ack(1)
    wait_until(channel.connection, lambda: len(one.bodies) + len(two.bodies) == 4)
    fence(channel, first)
    fence(channel, second)
    probe.say(f"one acked: {len(one.bodies) + len(two.bodies)} in all")


@scenario
def prefetch_both(probe: Probe) -> None:
    """A limit for each consumer and one for the channel hold together."""
    channel = probe.channel()
    channel.confirm_delivery()
    first, second = probe.queue(channel, "first"), probe.queue(channel, "second")
    probe.publish(channel, "", first, *(b"a%d" % number for number in range(5)))
    probe.publish(channel, "", second, *(b"b%d" % number for number in range(5)))
    channel.basic_qos(prefetch_count=2)
    channel.basic_qos(prefetch_count=3, global_qos=True)
    one = probe.consume(channel, first)
    fence(channel, first)
    two = probe.consume(channel, second)
    fence(channel, second)
    probe.say(f"{one.bodies} {two.bodies}")


@scenario
def prefetch_lifted(probe: Probe) -> None:
    """A prefetch of zero is no limit; a global one that is lifted lets the rest through."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.publish(channel, "", queue, *(b"%d" % number for number in range(4)))
    channel.basic_qos(prefetch_count=1, global_qos=True)
    inbox = probe.consume(channel, queue)
    fence(channel, queue)
    probe.say(f"one: {inbox.bodies}")
    channel.basic_qos(prefetch_count=0, global_qos=True)
    probe.say(f"all: {inbox.wait(4)}")


@scenario
def prefetch_and_get(probe: Probe) -> None:
    """basic.get is not limited by the prefetch, nor counted for it."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.publish(channel, "", queue, *(b"%d" % number for number in range(6)))
    channel.basic_qos(prefetch_count=2)
    for _ in range(3):
        probe.get(channel, queue, auto_ack=False)
    inbox = probe.consume(channel, queue)
    fence(channel, queue)
    probe.say(f"consumed {inbox.bodies}")


@scenario
def prefetch_size(probe: Probe) -> None:
    """A prefetch in bytes is not offered."""
    probe.tries("size", probe.channel().basic_qos, prefetch_size=1000)
    probe.tries("size, global", probe.channel().basic_qos, prefetch_size=1000, global_qos=True)


@scenario
def prefetch_and_no_ack(probe: Probe) -> None:
    """Prefetch does not hold a consumer that does not ack."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.publish(channel, "", queue, *(b"%d" % number for number in range(5)))
    channel.basic_qos(prefetch_count=1)
    inbox = probe.consume(channel, queue, auto_ack=True)
    probe.say(f"consumed {inbox.wait(5)}")
    probe.tries("there is nothing to ack", channel.basic_ack, 1)


@scenario
def fair_rotation(probe: Probe) -> None:
    """Consumers of a queue take turns; one that has no room is passed over."""
    publisher = probe.channel()
    publisher.confirm_delivery()
    queue = probe.queue(publisher)
    channels = [probe.channel() for _ in range(3)]
    for channel in channels:
        channel.basic_qos(prefetch_count=3)
    inboxes = [probe.consume(channel, queue) for channel in channels]
    probe.publish(publisher, "", queue, *(b"%d" % number for number in range(9)))
    wait_until(publisher.connection, lambda: sum(len(inbox.bodies) for inbox in inboxes) == 9)
    probe.say(f"{[inbox.bodies for inbox in inboxes]}")
    probe.publish(publisher, "", queue, b"9", b"10")
    probe.say(f"nobody has room: {probe.count(publisher, queue)}")
    channels[1].basic_ack(0, multiple=True)
    inboxes[1].wait(5)
    probe.say(f"the second has: {inboxes[1].bodies}")


@scenario
def consumer_priorities(probe: Probe) -> None:
    """The consumer with the higher priority is served first, until it has no room."""
    publisher = probe.channel()
    publisher.confirm_delivery()
    queue = probe.queue(publisher)
    low, high = probe.channel(), probe.channel()
    for channel in (low, high):
        channel.basic_qos(prefetch_count=2)
    lower = probe.consume(low, queue)
    higher = probe.consume(high, queue, arguments={"x-priority": 10})
    probe.publish(publisher, "", queue, b"1", b"2", b"3")
    wait_until(publisher.connection, lambda: len(lower.bodies + higher.bodies) == 3)
    probe.say(f"low {lower.bodies} high {higher.bodies}")
    arguments = {"x-priority": "high"}
    probe.tries("no number", probe.channel().basic_consume, queue, print, arguments=arguments)


@scenario
def single_active_consumer(probe: Probe) -> None:
    """One consumer is served at a time; the next one when it is cancelled."""
    publisher = probe.channel()
    publisher.confirm_delivery()
    queue = probe.queue(publisher, arguments={"x-single-active-consumer": True})
    first, second = probe.channel(), probe.channel()
    one, two = probe.consume(first, queue), probe.consume(second, queue)
    probe.publish(publisher, "", queue, b"1", b"2")
    one.wait(2)
    first.basic_cancel(one.tag)
    probe.publish(publisher, "", queue, b"3")
    two.wait(1)
    probe.say(f"{one.bodies} {two.bodies}")
    probe.tries("exclusive", probe.channel().basic_consume, queue, print, exclusive=True)


@scenario
def exclusive_consumer(probe: Probe) -> None:
    """An exclusive consumer is alone, and can only come to a queue without any."""
    channel = probe.channel()
    queue, used = probe.queue(channel), probe.queue(channel, "used")
    inbox = probe.consume(channel, queue, exclusive=True)
    probe.tries("another", probe.channel().basic_consume, queue, print)
    probe.tries("another exclusive one", probe.channel().basic_consume, queue, print, exclusive=True)
    probe.tries("get is not affected", probe.channel().basic_get, queue)
    channel.basic_cancel(inbox.tag)
    probe.consume(channel, queue)
    probe.consume(channel, used)
    probe.tries("on a queue that has one", probe.channel().basic_consume, used, print, exclusive=True)


@scenario
def consumer_tags(probe: Probe) -> None:
    """Tags are the channel's; the broker makes one up for an empty one."""
    channel = probe.channel()
    queue = probe.queue(channel)
    probe.tries("mine", channel.basic_consume, queue, print, consumer_tag="mine")
    probe.tries("mine, another channel", probe.channel().basic_consume, queue, print, consumer_tag="mine")
    # pika itself would refuse the second one, so its list of them is emptied.
    channel._impl._consumers.clear()
    channel._consumer_infos.clear()
    probe.tries("mine again", channel.basic_consume, queue, print, consumer_tag="mine")
    probe.say(f"connection open={channel.connection.is_open}")


@scenario
def consume_refused(probe: Probe) -> None:
    """Queues that are not there."""
    probe.tries("missing", probe.channel().basic_consume, probe.name("missing"), print)
    probe.tries("get from missing", probe.channel().basic_get, probe.name("missing"))


@scenario
def cancel(probe: Probe) -> None:
    """A cancelled consumer gets no more messages; its channel settles the unacked ones."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.publish(channel, "", queue, b"1", b"2")
    channel.basic_qos(prefetch_count=1)
    inbox = probe.consume(channel, queue)
    inbox.wait(1)
    tag = inbox.deliveries[0][0].delivery_tag
    probe.tries("cancel", channel.basic_cancel, inbox.tag)
    fence(channel, queue)
    probe.say(f"ready {probe.count(channel, queue)}, had {inbox.bodies}")
    probe.tries("ack", channel.basic_ack, tag)
    probe.say(f"ready {probe.count(channel, queue)}")
    probe.tries("declare", channel.queue_declare, queue, passive=True)


@scenario
def cancelled_by_the_broker(probe: Probe) -> None:
    """Consumers are told when their queue is deleted."""
    channel = probe.channel()
    queue = probe.queue(channel)
    told: list[str] = []
    channel.add_on_cancel_callback(lambda frame: told.append(f"{frame.method.NAME} {frame.method.consumer_tag}"))
    probe.consume(channel, queue, consumer_tag="one")
    probe.consume(channel, queue, consumer_tag="two")
    probe.channel().queue_delete(queue)
    wait_until(channel.connection, lambda: len(told) == 2)
    probe.say(f"told {sorted(told)}")
    probe.tries("the channel goes on", channel.queue_declare, probe.name("next"), exclusive=True)


@scenario
def deleted_with_unsettled(probe: Probe) -> None:
    """Deliveries of a deleted queue may still be acked."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.publish(channel, "", queue, b"1", b"2")
    for _ in range(2):
        probe.get(channel, queue, auto_ack=False)
    probe.tries("delete", channel.queue_delete, queue)
    probe.tries("ack", channel.basic_ack, 1)
    probe.tries("nack", channel.basic_nack, 2)


@scenario
def get(probe: Probe) -> None:
    """Messages taken singly, and how many are left."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.tries("empty", channel.basic_get, queue)
    probe.publish(channel, "", queue, b"1", b"2", b"3")
    probe.tries("first", channel.basic_get, queue)
    probe.tries("second, no ack", channel.basic_get, queue, auto_ack=True)
    probe.tries("third", channel.basic_get, queue)
    probe.tries("empty", channel.basic_get, queue)
    probe.tries("the second needs no ack", channel.basic_ack, 2)


@scenario
def consume_then_publish(probe: Probe) -> None:
    """Messages that waited come before new ones."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.publish(channel, "", queue, b"1", b"2")
    inbox = probe.consume(channel, queue, auto_ack=True)
    probe.publish(channel, "", queue, b"3", b"4")
    inbox.wait(4)
    for delivery in inbox.deliveries:
        probe.say(describe_message(*delivery))


@scenario
def consumer_counts(probe: Probe) -> None:
    """Consumers are counted while they are there."""
    channel, other = probe.channel(), probe.channel()
    queue = probe.queue(channel)
    inboxes: list[Inbox] = [probe.consume(other, queue) for _ in range(2)]
    probe.tries("two", channel.queue_declare, queue, passive=True)
    other.basic_cancel(inboxes[0].tag)
    probe.tries("one", channel.queue_declare, queue, passive=True)
    other.close()
    wait_until(channel.connection, lambda: not channel.queue_declare(queue, passive=True).method.consumer_count)
    probe.tries("none", channel.queue_declare, queue, passive=True)
