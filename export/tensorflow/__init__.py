"""TensorFlow 2 Object Detection API models become ONNX through a PyTorch twin; TensorFlow itself is not needed."""
