"""The robot's side of a service: publish observations, receive actions."""

from rtinfer.clients.observation_publisher import ObservationPublisher
from rtinfer.clients.subscriber import Action, ActionSubscriber, GroupAction, SourceStamp

__all__ = ["Action", "ActionSubscriber", "GroupAction", "ObservationPublisher", "SourceStamp"]
