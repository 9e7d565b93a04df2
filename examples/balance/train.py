"""Trains policy.onnx: a small network imitates a teacher that knows more than a robot can measure.

The teacher is an LQR computed on a model identified from the simulator. It sees the true state and
the torques still on their way, so it can undo the delay. The student sees only noisy observations,
with 0 to 8 ms of delay and short stalls, and is corrected on the states that it visits itself
(DAgger, Ross et al. 2011). numpy and MuJoCo only; one core; the same seed gives the same policy.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import deque
from pathlib import Path

import numpy as np
import onnx
from balancer import ACTION, MAX_TORQUE_NM, OBSERVATION, RATE_HZ, Balancer
from lockstep import drive
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Vector = NDArray[np.float64]
POLICY = Path(__file__).with_name("policy.onnx")
HIDDEN = 64
DRIVES_FROM = 10_000  # seeds of the training drives; tests and demo use small ones
SPEED_ERROR_LIMIT_M_S = 0.6  # a larger error asks for no more lean than this one
YAW_GAIN_NM_S = 0.6
INPUT_SCALE = np.array([0.1, 0.5, 0.5, 0.5, 0.5, 0.5])  # of OBSERVATION: about one at work


class Teacher:
    """LQR on (lean, lean rate, speed error), fed with the state predicted for its torque."""

    def __init__(self) -> None:
        self._a, self._b = identify()
        self._gain = lqr(self._a, self._b, np.diag([1.0, 0.1, 100.0]), np.array([[30.0]]))

    def act(self, robot: Balancer, pending: deque[tuple[float, float]], ahead: float) -> Vector:
        """Torques [2] in N m for the true state of `robot`, given the torques not yet applied."""
        lean, lean_rate, speed, yaw_rate = robot.state()
        state = np.array([lean, lean_rate, speed])
        for left, right in pending:
            state = self._a @ state + self._b[:, 0] * (0.5 * (left + right))
        state[2] = np.clip(state[2] - ahead, -SPEED_ERROR_LIMIT_M_S, SPEED_ERROR_LIMIT_M_S)
        drive = -float(self._gain[0] @ state)
        turn = YAW_GAIN_NM_S * (robot.route()[1] - yaw_rate)
        return np.clip([drive - turn, drive + turn], -MAX_TORQUE_NM, MAX_TORQUE_NM)


def identify() -> tuple[Vector, Vector]:
    """A [3,3] and B [3,1] of one tick of (lean, lean rate, speed), fitted to short random runs."""
    robot, random = Balancer(0, noise=0.0, pushes=False), np.random.default_rng(0)
    before, after = [], []
    for _ in range(200):
        robot.reset(*random.uniform([-0.05, -0.3, -0.5], [0.05, 0.3, 0.5]))
        for tick in range(20):
            torque = float(random.uniform(-0.5, 0.5))
            state = robot.state()[:3]
            robot.step((torque, torque))
            if tick >= 3:  # the tyres have settled
                before.append([*state, torque])
                after.append(robot.state()[:3])
    fit = np.linalg.lstsq(np.array(before), np.array(after), rcond=None)[0].T
    return fit[:, :3], fit[:, 3:]


def lqr(a: Vector, b: Vector, q: Vector, r: Vector) -> Vector:
    """The gain of the infinite-horizon discrete LQR, by iterating its Riccati equation."""
    p = q
    for _ in range(10_000):
        gain = np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a)
        p = q + a.T @ p @ (a - b @ gain)
    return gain


class Student:
    """MLP 6-64-64-2, ELU, with a scaled input and tanh times the largest torque at its end."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        sizes = (len(OBSERVATION), HIDDEN, HIDDEN, len(ACTION))
        self.parameters: list[Vector] = []
        for rows, columns in itertools.pairwise(sizes):
            self.parameters.append(random.standard_normal((rows, columns)) / np.sqrt(rows))
            self.parameters.append(np.zeros(columns))
        self._moments = [(np.zeros_like(p), np.zeros_like(p)) for p in self.parameters]
        self._steps = 0

    def layers(self, observation: Vector) -> list[Vector]:
        """The input of each layer and the output [n,2] in N m, for observations [n,6]."""
        w0, b0, w1, b1, w2, b2 = self.parameters
        x = observation / INPUT_SCALE
        h0 = elu(x @ w0 + b0)
        h1 = elu(h0 @ w1 + b1)
        return [x, h0, h1, MAX_TORQUE_NM * np.tanh(h1 @ w2 + b2)]

    def act(self, observation: NDArray[np.float32]) -> tuple[float, float]:
        """Torques (left, right) in N m for one observation [6]."""
        left, right = self.layers(observation.astype(np.float64))[-1].tolist()
        return left, right

    def fit(self, observation: Vector, target: Vector, rate: float) -> float:
        """One Adam step on the mean squared error; returns that error (N^2 m^2)."""
        x, h0, h1, y = self.layers(observation)
        error = y - target
        g = 2.0 * error / error.size * (MAX_TORQUE_NM - y * y / MAX_TORQUE_NM)
        gradients: list[Vector] = []
        for value, weight in ((h1, 4), (h0, 2), (x, 0)):
            gradients = [value.T @ g, g.sum(0), *gradients]
            if weight:  # the slope of elu, from its value
                g = (g @ self.parameters[weight].T) * np.where(value > 0.0, 1.0, 1.0 + value)
        self._steps += 1
        correction = np.sqrt(1.0 - 0.999**self._steps) / (1.0 - 0.9**self._steps)
        for p, gradient, (m, v) in zip(self.parameters, gradients, self._moments, strict=True):
            m += 0.1 * (gradient - m)
            v += 0.001 * (gradient * gradient - v)
            p -= rate * correction * m / (np.sqrt(v) + 1e-8)
        return float(np.mean(error * error))


def elu(x: Vector) -> Vector:
    """x where positive, else exp(x) - 1."""
    return np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))


def visit(
    student: Student, teacher: Teacher, seed: int, share: float, ticks: int
) -> tuple[list[NDArray[np.float32]], list[Vector]]:
    """Drives once, the teacher at the wheel for `share` of the time: observations, its torques."""
    random = np.random.default_rng([seed, 1])
    robot = Balancer(seed)
    robot.reset(*random.uniform([-0.15, -0.6, -0.8], [0.15, 0.6, 0.8]))
    pending: deque[tuple[float, float]] = deque([(0.0, 0.0)] * int(random.integers(0, 5)))
    seen, told = [], []
    torque, teaching, stalled = (0.0, 0.0), True, 0
    for tick in range(ticks):
        observation = robot.observe()
        wish = teacher.act(robot, pending, float(observation[4]))
        seen.append(observation)
        told.append(wish)
        if tick % 25 == 0:
            teaching = bool(random.random() < share)
        if stalled == 0 and random.random() < 0.002:
            stalled = int(random.integers(5, 40))
        if stalled:
            stalled -= 1  # the last torque stays on
        else:
            torque = (float(wish[0]), float(wish[1])) if teaching else student.act(observation)
        pending.append(torque)
        robot.step(pending.popleft())
        if robot.fallen:
            break
    return seen, told


def train(rounds: int, drives: int, ticks: int, epochs: int, seed: int) -> Student:
    """DAgger: drive, ask the teacher, learn from all drives so far; repeat."""
    teacher, student, random = Teacher(), Student(seed), np.random.default_rng(seed)
    seen: list[NDArray[np.float32]] = []
    told: list[Vector] = []
    for number in range(rounds):
        start = time.perf_counter()
        for index in range(drives):
            share = 0.5**number if number else 1.0
            new = visit(student, teacher, DRIVES_FROM + number * drives + index, share, ticks)
            seen += new[0]
            told += new[1]
        inputs, targets = np.array(seen, np.float64), np.array(told)
        steps = epochs * len(seen) // 512
        errors = []
        for step in range(steps):
            rows = random.integers(0, len(seen), 512)
            rate = 2e-3 * (0.01 if number == rounds - 1 and step > steps // 2 else 1 - step / steps)
            errors.append(student.fit(inputs[rows], targets[rows], rate))
        print(
            f"round {number + 1}/{rounds}  {len(seen):7d} ticks  rms error "
            f"{np.sqrt(np.mean(errors[-100:])):.3f} N m  {time.perf_counter() - start:5.1f} s",
            flush=True,
        )
    return student


def export(student: Student, path: Path) -> None:
    """Writes the student as ONNX: obs float32 [1,6] -> torque float32 [1,2] in N m."""
    names = ("w0", "b0", "w1", "b1", "w2", "b2")
    arrays = dict(zip(names, student.parameters, strict=True))
    arrays["input_gain"] = 1.0 / INPUT_SCALE
    arrays["max_torque"] = np.array([MAX_TORQUE_NM])
    nodes = [
        helper.make_node("Mul", ["obs", "input_gain"], ["x"]),
        helper.make_node("Gemm", ["x", "w0", "b0"], ["g0"]),
        helper.make_node("Elu", ["g0"], ["h0"]),
        helper.make_node("Gemm", ["h0", "w1", "b1"], ["g1"]),
        helper.make_node("Elu", ["g1"], ["h1"]),
        helper.make_node("Gemm", ["h1", "w2", "b2"], ["g2"]),
        helper.make_node("Tanh", ["g2"], ["unit"]),
        helper.make_node("Mul", ["unit", "max_torque"], ["torque"]),
    ]
    graph = helper.make_graph(
        nodes,
        "balance",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [1, len(OBSERVATION)])],
        [helper.make_tensor_value_info("torque", TensorProto.FLOAT, [1, len(ACTION)])],
        [numpy_helper.from_array(a.astype(np.float32), name) for name, a in arrays.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name="examples/balance/train.py",
    )
    helper.set_model_props(
        model,
        {"observation": ",".join(OBSERVATION), "action": ",".join(ACTION), "rate_hz": str(RATE_HZ)},
    )
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def report(student: Student) -> None:
    """Prints how the student drives, by the delay of its actions: 10 drives of 20 s each."""
    for delay_ms in (2, 10, 20, 40, 60, 80, 100):
        drives = [drive(student.act, seed, delay_ms=delay_ms) for seed in range(10)]
        print(
            f"delay {delay_ms:3d} ms  up {sum(d.fell_at_s is None for d in drives):2d} of 10  "
            f"largest lean {max(d.max_lean_deg for d in drives):4.1f} deg  "
            f"speed error {np.mean([d.speed_error_m_s for d in drives]):.3f} m/s",
            flush=True,
        )


def main() -> None:
    """Trains and writes the policy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=POLICY, help="where to write (default: policy.onnx)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="a few seconds, a worse policy: a smoke test"
    )
    options = parser.parse_args()
    size = (2, 4, 1000, 2) if options.quick else (8, 24, 2500, 6)
    student = train(*size, seed=options.seed)
    export(student, options.out)
    print(f"wrote {options.out}")
    if not options.quick:
        report(student)


if __name__ == "__main__":
    main()
