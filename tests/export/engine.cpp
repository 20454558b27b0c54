// The least that a C++ engine does with an exported model: load it, give it a molecule,
// print its energy and forces. No Python anywhere.
#include <iostream>
#include <vector>

#include <metatensor/torch.hpp>
#include <metatomic/torch.hpp>
#include <torch/script.h>

using metatensor_torch::LabelsHolder;

static metatensor_torch::Labels labels(std::vector<std::string> names, std::vector<int32_t> values) {
    auto width = static_cast<int64_t>(names.size());
    auto tensor = torch::tensor(values, torch::kInt32).reshape({-1, width});
    return torch::make_intrusive<LabelsHolder>(names, tensor);
}

int main(int, char** argv) {
    auto model = metatomic_torch::load_atomistic_model(argv[1]);

    auto float64 = torch::TensorOptions().dtype(torch::kFloat64);
    auto positions = torch::tensor({{0.0, 0.0, 0.0}, {1.2, 0.0, 0.1}, {-0.6, 0.9, 0.0}}, float64);
    positions.set_requires_grad(true);
    auto system = torch::make_intrusive<metatomic_torch::SystemHolder>(
        torch::tensor({6, 8, 1}, torch::kInt32),
        positions,
        torch::zeros({3, 3}, float64),
        torch::zeros({3}, torch::kBool)
    );

    std::vector<int32_t> samples;
    std::vector<torch::Tensor> vectors;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            if (i != j) {
                samples.insert(samples.end(), {i, j, 0, 0, 0});
                vectors.push_back((positions[j] - positions[i]).detach());
            }
        }
    }
    auto pairs = torch::make_intrusive<metatensor_torch::TensorBlockHolder>(
        torch::stack(vectors).reshape({-1, 3, 1}),
        labels({"first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"}, samples),
        std::vector<metatensor_torch::Labels>{labels({"xyz"}, {0, 1, 2})},
        labels({"distance"}, {0})
    );
    metatomic_torch::register_autograd_neighbors(system, pairs, true);
    auto requests = model.run_method("requested_neighbor_lists").toList();
    for (size_t i = 0; i < requests.size(); i++) {
        auto request =
            requests.get(i).toCustomClass<metatomic_torch::NeighborListOptionsHolder>();
        system->add_neighbor_list(request, pairs);
    }

    auto options = torch::make_intrusive<metatomic_torch::ModelEvaluationOptionsHolder>();
    options->set_length_unit("angstrom");
    options->outputs.insert("energy", torch::make_intrusive<metatomic_torch::ModelOutputHolder>());
    auto systems = std::vector<metatomic_torch::System>{system};
    auto result = model.forward({systems, options, /*check_consistency=*/true}).toGenericDict();
    auto energy = result.at("energy").toCustomClass<metatensor_torch::TensorMapHolder>();
    auto value = metatensor_torch::TensorMapHolder::block_by_id(energy, 0)->values();
    value.sum().backward();

    std::cout.precision(17);
    std::cout << value.item<double>();
    auto forces = -positions.grad().reshape({-1});
    for (int i = 0; i < 9; i++) {
        std::cout << ' ' << forces[i].item<double>();
    }
    std::cout << std::endl;
}
