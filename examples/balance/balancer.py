"""The robot itself: MuJoCo physics, noisy sensors, a route to drive, and gentle pushes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

try:
    import mujoco
except ImportError:
    raise SystemExit("this example needs MuJoCo: pip install 'rtinfer[sim]'") from None

MODEL = Path(__file__).with_name("plant.xml")
RATE_HZ = 500
TICK_S = 1.0 / RATE_HZ
WHEEL_RADIUS_M = 0.1
MAX_TORQUE_NM = 3.0
FALLEN_RAD = 0.8  # no torque these motors have brings it back from here

OBSERVATION = (
    "lean_rad",
    "lean_rate_rad_s",
    "speed_m_s",
    "yaw_rate_rad_s",
    "speed_ahead_m_s",  # what the route asks for PREVIEW_S from now: to speed up, lean first
    "yaw_rate_command_rad_s",
)
ACTION = ("left_torque_nm", "right_torque_nm")
PREVIEW_S = 0.6
SENSOR_NOISE = np.array([0.002, 0.02, 0.01, 0.02, 0.0, 0.0])  # standard deviations of OBSERVATION
PUSH_N = 1.5  # standard deviation of a push; a new one every 0.1 s


class Balancer:
    """A two-wheeled robot that drives a winding route while gentle pushes arrive.

    `seed` fixes noise, pushes and the route, so that a run in lock-step repeats exactly.
    """

    def __init__(self, seed: int = 0, noise: float = 1.0, pushes: bool = True) -> None:
        self._random = np.random.default_rng(seed)
        self._model = mujoco.MjModel.from_xml_path(str(MODEL))
        self._data = mujoco.MjData(self._model)
        self._substeps = round(TICK_S / self._model.opt.timestep)
        self._chassis = self._model.body("chassis").id
        self._noise = SENSOR_NOISE * noise
        self._pushes = pushes
        self._route = self._random.uniform(0.0, 2.0 * math.pi, 2)
        self.reset()

    def reset(
        self, lean_rad: float = 0.02, lean_rate_rad_s: float = 0.0, speed_m_s: float = 0.0
    ) -> None:
        """Puts the robot upright, at time zero, with the given lean and speed."""
        mujoco.mj_resetData(self._model, self._data)
        data = self._data
        data.qpos[2] = WHEEL_RADIUS_M
        data.qpos[3:7] = (math.cos(lean_rad / 2), 0.0, math.sin(lean_rad / 2), 0.0)
        data.qvel[0] = speed_m_s
        data.qvel[4] = lean_rate_rad_s
        data.qvel[6:8] = speed_m_s / WHEEL_RADIUS_M - lean_rate_rad_s
        self.tick = 0
        mujoco.mj_forward(self._model, data)

    @property
    def time_s(self) -> float:
        """Simulated time."""
        return self.tick * TICK_S

    @property
    def fallen(self) -> bool:
        """Whether the robot leans too far to recover."""
        return abs(self.state()[0]) > FALLEN_RAD

    def route(self, ahead_s: float = 0.0) -> tuple[float, float]:
        """What the robot is to do `ahead_s` from now: speed (m/s) and yaw rate (rad/s)."""
        a, b = self._route
        t = self.time_s + ahead_s
        ease = min(1.0, t)  # the route starts from rest
        speed = 0.7 * math.sin(0.9 * t + a) + 0.2 * math.sin(2.1 * t + b)
        return ease * speed, ease * 0.8 * math.sin(1.1 * t + b)

    def state(self) -> tuple[float, float, float, float]:
        """The true lean (rad), lean rate (rad/s), speed (m/s) and yaw rate (rad/s)."""
        w, x, y, z = self._data.qpos[3:7].tolist()
        roll_rate, lean_rate, turn_rate, left, right = self._data.qvel[3:8].tolist()
        lean = math.asin(max(-1.0, min(1.0, 2.0 * (w * y - x * z))))
        speed = WHEEL_RADIUS_M * (0.5 * (left + right) + lean_rate)
        return lean, lean_rate, speed, turn_rate * math.cos(lean) - roll_rate * math.sin(lean)

    def observe(self) -> NDArray[np.float32]:
        """What the sensors say and what is asked: float32 [6], named by OBSERVATION."""
        values = np.array([*self.state(), self.route(PREVIEW_S)[0], self.route()[1]])
        values += self._noise * self._random.standard_normal(len(OBSERVATION))
        return values.astype(np.float32)

    def step(self, torque_nm: tuple[float, float]) -> None:
        """Applies the torques (left, right; N m) for one tick of 2 ms."""
        self._data.ctrl[:] = torque_nm
        if self._pushes and self.tick % (RATE_HZ // 10) == 0:
            self._data.xfrc_applied[self._chassis, 0] = PUSH_N * self._random.standard_normal()
        mujoco.mj_step(self._model, self._data, self._substeps)
        self.tick += 1
